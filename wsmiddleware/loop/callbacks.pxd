from wsmiddleware.loop.channel cimport Channel
from wsmiddleware.loop.system cimport run_in


cdef class CallbackChannel(Channel):
    cdef object _callbacks
    cdef object _on_message
    cdef object _context
    cdef bint _busy
    cdef bint _opened
    cdef bint _told

from wsmiddleware.loop.channel cimport Channel


cdef class CallbackChannel(Channel):
    cdef object _callbacks
    cdef object _context
    cdef bint _busy
    cdef bint _opened
    cdef bint _told

    cpdef _work(self)

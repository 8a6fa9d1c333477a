from wsmiddleware.loop.channel cimport Channel


cdef class ConversationChannel(Channel):
    cdef object _function
    cdef object _params
    cdef object _context
    cdef object _waiting
    cdef bint _started
    cdef bint _returned

    cdef _wait(self, timeout)

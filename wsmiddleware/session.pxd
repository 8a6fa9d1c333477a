from wsmiddleware.loop.channel cimport Channel

cdef int BINARY, TEXT


cdef class Session:
    cdef readonly str id
    cdef object _environ
    cdef readonly object params
    cdef readonly object subprotocol
    cdef readonly str remote_address
    cdef Channel _channel
    cdef object _state
    cdef object __weakref__

cimport cython

cdef int BINARY, CLOSE, CONTINUATION, LENGTH, MAX_CONTROL, OPCODE, PING, PONG, RESERVED, RSV1, TEXT, FIN, MASKED


cdef class Reader:
    cdef public bint has_control
    cdef long long _payload

    @cython.locals(payload="long long")
    cpdef long long take_payload(self) except -1
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1


cdef class RawReader(Reader):
    cdef Py_ssize_t _size
    cdef Py_ssize_t _begun

    @cython.locals(count=Py_ssize_t)
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1


cdef class FrameReader(Reader):
    cdef public list pings
    cdef public bytes close
    cdef Py_ssize_t _size
    cdef bytes _rest
    cdef Py_ssize_t _left
    cdef int _opcode
    cdef bint _final
    cdef bint _begun
    cdef Py_ssize_t _message
    cdef bytes _control

    @cython.locals(count=Py_ssize_t, size=Py_ssize_t, taken=Py_ssize_t)
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1
    @cython.locals(first=int, second=int, length=Py_ssize_t, size=Py_ssize_t, at=Py_ssize_t, missing=Py_ssize_t)
    cdef Py_ssize_t _begin_frame(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1
    @cython.locals(opcode=int)
    cdef int _check(self, int first, int second) except -1
    cdef bint _may_be_compressed(self, int first) except -1
    cdef int _end_frame(self) except -1

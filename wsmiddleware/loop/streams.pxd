from wsmiddleware.loop.system cimport ReadBuffer, end_output, write
from wsmiddleware.protocol.wire cimport OutBuffer


cdef class Stream:
    cdef public int fd

    cpdef Py_ssize_t read(self, ReadBuffer buffer) except -2
    cpdef Py_ssize_t write(self, OutBuffer data) except -1
    cpdef bint has_buffered(self) except -1
    cpdef end_output(self)
    cpdef close(self)


cdef class PlainStream(Stream):
    pass


cdef class TLSStream(Stream):
    cdef object _socket
    cdef object _files
    cdef bint _is_new
    cdef bint _tls_is_over

    cdef Py_ssize_t _discard(self) except -2

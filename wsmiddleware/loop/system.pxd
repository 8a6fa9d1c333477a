from wsmiddleware.protocol.wire cimport OutBuffer

cpdef double monotonic() noexcept
cpdef unsigned long thread_ident() noexcept
cpdef Py_ssize_t write(int fd, OutBuffer data) except -1
cpdef Py_ssize_t write_frame(int fd, bytes header, payload) except -1


cdef class ReadBuffer:
    cdef public bytes data

    cpdef Py_ssize_t read(self, int fd) except -2

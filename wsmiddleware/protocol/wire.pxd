cpdef bytes unmask(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop)
cpdef bytes encode_header(int opcode, Py_ssize_t length, bint fin=*, bytes mask=*)


cdef class OutBuffer:
    cdef char* _memory
    cdef Py_ssize_t _start
    cdef Py_ssize_t _end
    cdef Py_ssize_t _capacity
    cdef int _exports

    cdef char* first(self) noexcept
    cdef int _expect_no_view(self) except -1
    cdef char* _reserve(self, Py_ssize_t size) except NULL
    cpdef append_frame(self, int opcode, payload)
    cdef int _append_frame(self, int opcode, const char* source, Py_ssize_t length) except -1
    cpdef extend(self, data)
    cpdef consume(self, Py_ssize_t size)
    cpdef clear(self)

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cpdef bytes unmask(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop)
cpdef bytes encode_header(int opcode, Py_ssize_t length, bint fin=*, bytes mask=*)


@cython.final
cdef class TextCheck:
    cdef int _missing  # bytes of a character that has come in part
    cdef uint8_t _least
    cdef uint8_t _most

    cpdef bint add(self, bytes part)
    cdef bint check(self, const uint8_t* part, Py_ssize_t length) noexcept


@cython.final
cdef class PartialPayload:
    cdef readonly Py_ssize_t missing
    cdef Py_ssize_t _filled
    cdef Py_ssize_t _capacity
    cdef PyObject* _payload  # bytes that are still changed, which a Cython attribute could not be
    cdef char _mask[4]
    cdef bint _masked

    cpdef Py_ssize_t add(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1
    cpdef bint add_last_to(self, TextCheck text, Py_ssize_t size)
    cpdef bytes take(self)


@cython.final
cdef class OutBuffer:
    cdef char* _memory
    cdef Py_ssize_t _start
    cdef Py_ssize_t _end
    cdef Py_ssize_t _capacity
    cdef int _exports
    cdef bytes _large
    cdef Py_ssize_t _large_start

    cdef char* first(self) noexcept
    cpdef Py_ssize_t size(self) noexcept
    cdef int _expect_no_view(self) except -1
    cdef int _copy_large(self) except -1
    cdef char* _reserve(self, Py_ssize_t size) except NULL
    cdef int _make_room(self, Py_ssize_t size) except -1
    cpdef int append_frame(self, int opcode, payload) except -1
    cdef int _append_view(self, int opcode, payload) except -1
    cdef int _append(self, int opcode, Py_ssize_t length, const char* payload, Py_ssize_t size) except -1
    cpdef extend(self, data)
    cpdef int consume(self, Py_ssize_t size) except -1
    cpdef clear(self)

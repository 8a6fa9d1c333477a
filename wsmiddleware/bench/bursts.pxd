cimport cython

from wsmiddleware.protocol.wire cimport OutBuffer


@cython.final
cdef class Burst:
    cdef public bytes data
    cdef public OutBuffer out
    cdef public Py_ssize_t size


@cython.final
cdef class Bursts:
    cdef public Py_ssize_t limit
    cdef public Py_ssize_t messages
    cdef list _frames
    cdef list _sizes
    cdef Py_ssize_t _whole
    cdef list _made

    @cython.locals(made=list)
    cpdef Burst of(self, Py_ssize_t first, Py_ssize_t count)
    @cython.locals(size=Py_ssize_t, number=Py_ssize_t)
    cpdef Py_ssize_t size(self, Py_ssize_t first, Py_ssize_t count) except -1

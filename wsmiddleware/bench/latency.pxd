cimport cython

cdef int _LINEAR, _BUCKETS


@cython.final
cdef class Histogram:
    cdef list _counts
    cdef long long _total

    @cython.locals(value="long long", offset=int, index=int)
    cpdef add(self, double seconds, long count)


@cython.final
cdef class Stamps:
    cdef double _time
    cdef long _count
    cdef object _later

    cpdef add(self, double now, long count)
    cpdef long take(self, double now, long count, Histogram histogram) except -1

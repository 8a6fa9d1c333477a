cimport cython

from wsmiddleware.bench.connection cimport Connection, Owner
from wsmiddleware.bench.latency cimport Histogram
from wsmiddleware.loop.system cimport monotonic

cdef int _TICK


cdef class Load(Owner):
    cdef public object plan
    cdef public list sent
    cdef public Histogram histogram
    cdef public long long messages
    cdef public dict members
    cdef public bint running
    cdef public bint over

    cdef dict _connections
    cdef Py_ssize_t _begun
    cdef Py_ssize_t _pending
    cdef Py_ssize_t _opened
    cdef Py_ssize_t _failed
    cdef dict _failures
    cdef object _observer
    cdef double _stop_at
    cdef double _progress_at
    cdef double _unopened_since

    cpdef start_connection(self)
    cpdef _open_all(self)
    cpdef _settle(self)
    @cython.locals(now=double, quiet_since=double, messages="long long")
    cpdef _measure(self, double begun)
    @cython.locals(index=int, connection=Connection)
    cpdef _turn(self)
    cpdef _give_up_on_silence(self)
    cpdef _report(self, seconds)

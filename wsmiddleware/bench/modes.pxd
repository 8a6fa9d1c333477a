cimport cython

from wsmiddleware.bench.connection cimport Connection
from wsmiddleware.bench.load cimport Load
from wsmiddleware.loop.system cimport monotonic


cdef class Echo(Load):
    @cython.locals(now=double, surplus=long)
    cpdef replied(self, Connection connection, Py_ssize_t count)


cdef class Fanout(Load):
    cdef Connection _publisher
    cdef long long _published
    cdef double _published_at
    cdef long long _due

    cpdef replied(self, Connection connection, Py_ssize_t count)
    cpdef _next(self)
    cpdef _publish(self, double now)


cdef class Idle(Load):
    cpdef replied(self, Connection connection, Py_ssize_t count)


cdef class Churn(Load):
    cpdef replied(self, Connection connection, Py_ssize_t count)

cimport cython

from wsmiddleware.bench.bursts cimport Burst, Bursts
from wsmiddleware.bench.latency cimport Stamps
from wsmiddleware.bench.reader cimport Reader
from wsmiddleware.loop.system cimport EpollSet, ReadBuffer, monotonic, write

cdef int READABLE, WRITABLE
cdef int _CONNECTING, _SECURING, _ASKING, _OPEN, _CLOSING, _CLOSED


cdef class Owner:
    cdef public object address
    cdef public Bursts bursts
    cdef public ReadBuffer buffer
    cdef public object context
    cdef public EpollSet epoll
    cdef public int family
    cdef public object host
    cdef public object make_reader
    cdef public object offer
    cdef public long long content
    cdef public long long payload
    cdef public bytes request

    cpdef opened(self, Connection connection)
    cpdef replied(self, Connection connection, Py_ssize_t count)
    cpdef ended(self, Connection connection, reason)


@cython.final
cdef class Connection:
    cdef public int fd
    cdef public int state
    cdef public Stamps stamps
    cdef public double started
    cdef public long long replies
    cdef Owner _owner
    cdef object _socket
    cdef Reader _reader
    cdef int _interest
    cdef bytes _head
    cdef object _rest
    cdef Py_ssize_t _next
    cdef Py_ssize_t _due
    cdef Py_ssize_t _waiting
    cdef list _controls

    cpdef connect(self)
    cpdef send(self, Py_ssize_t count)
    cpdef start_close(self)
    cpdef end(self, reason)
    cpdef drop(self)
    cpdef on_ready(self, int readiness)
    cdef _connected(self)
    cdef _secure(self)
    cdef _ask(self)
    cdef _open(self)
    @cython.locals(size=Py_ssize_t)
    cdef _read(self)
    cdef _read_tls(self)
    @cython.locals(bursts=Bursts, start=Py_ssize_t, count=Py_ssize_t)
    cdef _received(self, bytes data, Py_ssize_t size)
    cdef _answer(self)
    cdef _end_of_stream(self)
    cdef _send_control(self, int opcode, bytes payload)
    @cython.locals(bursts=Bursts, burst=Burst, count=Py_ssize_t, sent=Py_ssize_t)
    cdef _flush(self)
    cdef bint _send_rest(self) except -1
    cdef _watch(self, int interest)
    cdef _fail_to_connect(self, error)

cimport cython

from wsmiddleware.loop.loop cimport Loop
from wsmiddleware.loop.member cimport Member
from wsmiddleware.loop.streams cimport Stream
from wsmiddleware.loop.system cimport monotonic
from wsmiddleware.protocol.wire cimport OutBuffer

cdef int READABLE, WRITABLE


cdef class Line(Member):
    cdef readonly Loop loop

    cdef Stream _stream
    cdef OutBuffer _out
    cdef Py_ssize_t _send_queue
    cdef bint _paused
    cdef bint _backlog
    cdef list _senders
    cdef bint _ending
    cdef bint _output_ended
    cdef double _last_out

    @cython.locals(out=OutBuffer, waiting=Py_ssize_t, written=Py_ssize_t)
    cpdef flush(self)
    cpdef cannot_write(self, error)
    cpdef drained(self)
    cdef _set_backlog(self, bint backlog)
    cdef int _set_interest(self) except -1
    cdef _wait_to_send(self)
    cdef _wake_senders(self)
    @cython.locals(out=OutBuffer)
    cdef _write_last(self)
    cdef _end_output(self)
    cdef _close_stream(self)

cimport cython

from wsmiddleware.loop.system cimport ReadBuffer, monotonic
from wsmiddleware.loop.line cimport Line
from wsmiddleware.protocol.connection cimport Connection

cdef int _OPEN, _MAX_BATCH, READABLE, WRITABLE


# Methods that are "inline" are called without a look into the table of methods. (For a .py, "final" does not do that.)
cdef class Channel(Line):
    cdef readonly object settings
    cdef public object session
    cdef readonly object close_event
    cdef readonly object latency

    cdef Connection _protocol
    cdef object _on_done

    cdef list _inbox
    cdef Py_ssize_t _inbox_size
    cdef bint _deflates
    cdef int _taken
    cdef Py_ssize_t _receive_queue

    cdef object _owed_pong
    cdef object _ping_sent

    cdef object _cause
    cdef object _error
    cdef object _deadline
    cdef double _idle_timeout
    cdef list _end_callbacks

    cdef double _began
    cdef double _last_in
    cdef double _last_message

    cpdef on_ready(self, int readiness)

    cpdef start(self, bytes early)
    cpdef int send(self, int opcode, data) except -1
    cpdef offer(self, frame)
    cpdef attend(self)
    cpdef receive(self, timeout)
    cdef wake(self)
    cdef next_message(self)
    cdef fill_inbox(self)
    cpdef endpoint_raised(self, error)
    cpdef tell_error(self, error)
    cdef done(self)
    cpdef bint endpoint_is_done(self)
    cdef inline int _expect_open(self) except -1
    @cython.locals(buffer=ReadBuffer, size=Py_ssize_t)
    cdef _read(self)
    cdef _give_way(self)
    cdef _clear_inbox(self)
    cdef _pause(self)
    cdef inline int _resume(self) except -1
    cdef _control(self, event)
    cdef _pong(self, data)
    cdef inline int _sent_message(self) except -1
    cdef inline bint _has_room(self) noexcept
    cdef _wait_for_room(self)
    cdef _decide(self, cause, error=*)
    cdef _fail(self, cause, reason)
    cdef _lose(self, error)
    cdef _end(self)
    cdef _run_end_callbacks(self)
    cdef _release(self)
    cdef _set_timer(self)
    cdef bint _is_idle(self, double now) noexcept

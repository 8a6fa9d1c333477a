cimport cython

from wsmiddleware.loop.member cimport Member
from wsmiddleware.loop.poller cimport Poller
from wsmiddleware.loop.system cimport ReadBuffer, monotonic, thread_ident, weakref_count


cdef int WORTH_A_ROUND, PATIENCE_RETURNS
cdef double MAX_TURN, PATIENCE
cdef unsigned long NO_THREAD


@cython.final
cdef class Loop:
    cdef readonly object hub
    cdef readonly double now
    cdef readonly ReadBuffer buffer
    cdef readonly bint closed

    cdef unsigned long _thread
    cdef Poller _poller
    cdef list _members

    cdef bint _turning
    cdef bint _turn_asked
    cdef list _ready
    cdef list _served
    cdef Py_ssize_t _next
    cdef list _idle
    cdef object _runner
    cdef object _lender
    cdef Member _in_hand
    cdef double _patience
    cdef int _impatient_turns

    cdef list _unflushed
    cdef bint _flush_asked

    cdef object _timers
    cdef object _timer
    cdef object _timer_at

    cdef object _posted
    cdef readonly long _beats
    cdef object __weakref__

    cpdef watch(self, Member member, int interest)
    cpdef schedule(self, Member member, int readiness=*)
    cpdef flush_soon(self, Member member)
    cpdef set_timer(self, Member member, when)
    cpdef wait(self)
    cpdef lend(self, waiting)
    cpdef bint is_here(self) noexcept
    cpdef run_posted(self)
    cdef _ask_for_turn(self)
    @cython.locals(until=double, count=int)
    cpdef _turn(self)
    @cython.locals(poller=Poller, until=double, count=int)
    cdef int _look_again(self, int before) except -1
    @cython.locals(member=Member, parked=Member, poller=Poller, i=int)
    cdef _round(self, int count)
    cdef int _add(self, Member member, int readiness) except -1
    @cython.locals(member=Member, readiness=int, references=int)
    cpdef _run(self)
    @cython.locals(member=Member)
    cpdef _flush(self)

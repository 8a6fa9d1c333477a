cimport cython

from wsmiddleware.loop.system cimport ReadBuffer, monotonic, thread_ident


cdef class Member:
    cdef public int fd
    cdef public int interest
    cdef public bint flush_due
    cdef public long timer_slot

    cpdef on_ready(self, int readiness)
    cpdef on_time(self, double now)
    cpdef on_parked(self)
    cpdef flush(self)


cdef int WORTH_A_ROUND


cdef class Loop:
    cdef readonly object hub
    cdef readonly double now
    cdef readonly ReadBuffer buffer
    cdef readonly bint closed

    cdef unsigned long _thread
    cdef object _poller
    cdef dict _members

    cdef bint _turning
    cdef bint _turn_asked
    cdef object _ready
    cdef Py_ssize_t _left
    cdef list _idle
    cdef object _runner
    cdef object _lender
    cdef Member _in_hand

    cdef list _unflushed
    cdef bint _flush_asked

    cdef object _timers
    cdef object _timer
    cdef object _timer_at

    cdef object _posted
    cdef object __weakref__

    cpdef watch(self, Member member, int interest)
    cpdef schedule(self, Member member, int readiness=*)
    cpdef flush_soon(self, Member member)
    cpdef set_timer(self, Member member, when)
    cpdef wait(self)
    cpdef lend(self, waiting)
    cpdef bint is_here(self)
    cpdef run_posted(self)
    cdef _ask_for_turn(self)
    @cython.locals(rounds=int)
    cpdef _turn(self)
    @cython.locals(parked=Member, found=list)
    cdef int _round(self) except -1
    @cython.locals(member=Member, readiness=int)
    cpdef _run(self)
    @cython.locals(member=Member)
    cpdef _flush(self)

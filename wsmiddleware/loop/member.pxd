cdef class Member:
    cdef public int fd
    cdef public int interest
    cdef public int readiness
    cdef public bint scheduled
    cdef public bint flush_due
    cdef public long timer_slot

    cpdef on_ready(self, int readiness)
    cpdef work(self)
    cpdef on_time(self, double now)
    cpdef on_parked(self)
    cpdef flush(self)

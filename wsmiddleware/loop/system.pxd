cimport cython

from wsmiddleware.loop.member cimport Member
from wsmiddleware.protocol.wire cimport OutBuffer

cpdef run_in(context, Member member)
cpdef double monotonic() noexcept
cpdef unsigned long thread_ident() noexcept
cpdef int weakref_count(object referred) noexcept
cpdef end_output(int fd)
cpdef Py_ssize_t write(int fd, OutBuffer data) except -1


@cython.final
cdef class ReadBuffer:
    cdef public bytes data

    cpdef Py_ssize_t read(self, int fd) except -2


@cython.final
cdef class EpollSet:
    cdef int _fd
    cdef void* _found

    cdef int _control(self, int what, int fd, int interest) except -1
    cpdef int fileno(self) except -1
    cpdef int add(self, int fd, int interest) except -1
    cpdef int change(self, int fd, int interest) except -1
    cpdef int remove(self, int fd) except -1
    cpdef int wait(self, int timeout=*) except -1
    cpdef int fd(self, int index) except -1
    cpdef int readiness(self, int index) except -1
    cpdef int close(self) except -1

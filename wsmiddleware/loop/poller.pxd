from wsmiddleware.loop.system cimport EpollSet


cdef class Poller:
    cpdef watch(self, int fd, int interest, int before)
    cpdef int poll(self) except -1
    cpdef int fd(self, int index) except -1
    cpdef int readiness(self, int index) except -1
    cpdef close(self)


cdef class EpollPoller(Poller):
    cdef EpollSet _epoll
    cdef object _watcher
    cdef object _on_ready
    cdef Py_ssize_t _watched


cdef class WatcherPoller(Poller):
    cdef object _loop
    cdef object _on_ready
    cdef dict _watchers
    cdef dict _ready
    cdef list _found

    cpdef _report(self, int events, int fd)

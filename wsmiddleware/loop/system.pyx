"""system.py in C, which takes its place in compiled builds. The functions are the same; see there."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from posix.unistd cimport close
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from wsmiddleware.loop.member cimport Member
from wsmiddleware.protocol.wire cimport OutBuffer

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    PyObject** PyObject_GET_WEAKREFS_LISTPTR(object)
    ctypedef struct PyWeakReference:
        PyWeakReference* wr_next

cdef extern from "sys/socket.h" nogil:
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int, const msghdr*, int)
    int shutdown(int, int)
    int MSG_DONTWAIT
    int SHUT_WR

cdef extern from *:
    """
    #include <sys/socket.h>
    #ifdef MSG_NOSIGNAL
    #define WS_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
    #else
    #define WS_SEND_FLAGS MSG_DONTWAIT
    #endif

    #ifdef __linux__
    #include <sys/epoll.h>
    #define WS_HAS_EPOLL 1
    #else
    #include <errno.h>
    #include <stdint.h>
    #define WS_HAS_EPOLL 0
    enum { EPOLLIN = 1, EPOLLOUT = 4, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC = 0 };
    struct epoll_event { uint32_t events; union { int fd; } data; };
    static int epoll_create1(int flags) { errno = ENOSYS; return -1; }
    static int epoll_ctl(int set, int what, int fd, struct epoll_event* event) { errno = ENOSYS; return -1; }
    static int epoll_wait(int set, struct epoll_event* found, int size, int timeout) { errno = ENOSYS; return -1; }
    #endif
    """
    int WS_SEND_FLAGS
    int WS_HAS_EPOLL
    int EPOLLIN, EPOLLOUT, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC
    union epoll_data:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data data
    int epoll_create1(int) nogil
    int epoll_ctl(int, int, int, epoll_event*) nogil
    int epoll_wait(int, epoll_event*, int, int) nogil

READABLE = 1
WRITABLE = 2

MAX_EVENTS = 64
cdef int _MAX_EVENTS = MAX_EVENTS

READ_SIZE = 256 * 1024
cdef Py_ssize_t _READ_SIZE = READ_SIZE


cpdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cpdef unsigned long thread_ident() noexcept:
    return PyThread_get_thread_ident()


cpdef int weakref_count(object referred) noexcept:
    # _PyWeakref_GetWeakrefCount, which is not for everybody.
    cdef PyWeakReference* reference = <PyWeakReference*>PyObject_GET_WEAKREFS_LISTPTR(referred)[0]
    cdef int count = 0
    while reference is not NULL:
        count += 1
        reference = reference.wr_next
    return count


cpdef run_in(context, Member member):
    PyContext_Enter(context)
    try:
        member.work()
    finally:
        PyContext_Exit(context)


HAS_EPOLL = bool(WS_HAS_EPOLL)


cdef class EpollSet:
    def __cinit__(self):
        self._fd = epoll_create1(EPOLL_CLOEXEC)
        if self._fd < 0:
            PyErr_SetFromErrno(OSError)
            raise
        self._found = malloc(_MAX_EVENTS * sizeof(epoll_event))
        if self._found is NULL:
            raise MemoryError()

    def __dealloc__(self):
        if self._fd >= 0:
            close(self._fd)
        free(self._found)

    cpdef int fileno(self) except -1:
        return self._fd

    cpdef int add(self, int fd, int interest) except -1:
        return self._control(EPOLL_CTL_ADD, fd, interest)

    cpdef int change(self, int fd, int interest) except -1:
        return self._control(EPOLL_CTL_MOD, fd, interest)

    cpdef int remove(self, int fd) except -1:
        return self._control(EPOLL_CTL_DEL, fd, 0)

    cdef int _control(self, int what, int fd, int interest) except -1:
        cdef epoll_event event
        event.events = (EPOLLIN if interest & 1 else 0) | (EPOLLOUT if interest & 2 else 0)
        event.data.fd = fd
        if epoll_ctl(self._fd, what, fd, &event) < 0:
            PyErr_SetFromErrno(OSError)
            return -1
        return 0

    cpdef int wait(self, int timeout=0) except -1:
        cdef int count
        while True:
            if timeout == 0:
                count = epoll_wait(self._fd, <epoll_event*>self._found, _MAX_EVENTS, 0)
            else:
                with nogil:
                    count = epoll_wait(self._fd, <epoll_event*>self._found, _MAX_EVENTS, timeout)
            if count < 0 and errno != EINTR:
                PyErr_SetFromErrno(OSError)
                return -1
            if timeout != 0:
                # Between compiled calls nobody else looks whether Ctrl-C was pressed.
                PyErr_CheckSignals()
            if count >= 0:
                return count

    cpdef int fd(self, int index) except -1:
        return (<epoll_event*>self._found)[index].data.fd

    cpdef int readiness(self, int index) except -1:
        cdef unsigned int events = (<epoll_event*>self._found)[index].events
        if events & ~<unsigned int>(EPOLLIN | EPOLLOUT):
            return 3
        return (1 if events & EPOLLIN else 0) | (2 if events & EPOLLOUT else 0)

    cpdef int close(self) except -1:
        if self._fd >= 0:
            close(self._fd)
            self._fd = -1
        return 0


cdef class ReadBuffer:
    def __cinit__(self):
        self.data = PyBytes_FromStringAndSize(NULL, _READ_SIZE)

    cpdef Py_ssize_t read(self, int fd) except -2:
        cdef ssize_t size
        if Py_REFCNT(<PyObject*>self.data) > 1:
            # Somebody still reads in it, so that it must not change: bytes are only ours to fill while nobody else
            # has seen them.
            self.data = PyBytes_FromStringAndSize(NULL, _READ_SIZE)
        while True:
            size = recv(fd, PyBytes_AS_STRING(self.data), _READ_SIZE, MSG_DONTWAIT)
            if size >= 0:
                return size
            if errno == EAGAIN:
                return -1
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
                return -2


cpdef end_output(int fd):
    shutdown(fd, SHUT_WR)


cpdef Py_ssize_t write(int fd, OutBuffer data) except -1:
    cdef ssize_t size
    while True:
        size = send(fd, data.first(), data._end - data._start, WS_SEND_FLAGS) if data._large is None else _send_both(fd, data)
        if size >= 0:
            return size
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
            return -1


cdef ssize_t _send_both(int fd, OutBuffer data) noexcept:
    """Send what is in the memory and the large payload behind it, in one call."""
    cdef iovec parts[2]
    cdef msghdr message
    parts[0].iov_base = data.first()
    parts[0].iov_len = data._end - data._start
    parts[1].iov_base = PyBytes_AS_STRING(data._large) + data._large_start
    parts[1].iov_len = PyBytes_GET_SIZE(data._large) - data._large_start
    memset(&message, 0, sizeof(message))
    message.msg_iov = parts
    message.msg_iovlen = 2
    return sendmsg(fd, &message, WS_SEND_FLAGS)

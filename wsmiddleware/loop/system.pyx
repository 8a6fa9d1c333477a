"""system.py in C, which takes its place in compiled builds. The functions are the same; see there."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from wsmiddleware.protocol.wire cimport OutBuffer

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef extern from "sys/socket.h" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    ssize_t sendmsg(int, const msghdr*, int)
    int MSG_DONTWAIT

cdef extern from *:
    """
    #include <sys/socket.h>
    #ifdef MSG_NOSIGNAL
    #define WS_SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
    #else
    #define WS_SEND_FLAGS MSG_DONTWAIT
    #endif
    """
    int WS_SEND_FLAGS

READ_SIZE = 256 * 1024
cdef Py_ssize_t _READ_SIZE = READ_SIZE


cpdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cpdef unsigned long thread_ident() noexcept:
    return PyThread_get_thread_ident()


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


cpdef Py_ssize_t write(int fd, OutBuffer data) except -1:
    cdef ssize_t size
    while True:
        size = send(fd, data.first(), data._end - data._start, WS_SEND_FLAGS)
        if size >= 0:
            return size
        if errno == EAGAIN:
            return 0
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
            return -1


cpdef Py_ssize_t write_frame(int fd, bytes header, payload) except -1:
    cdef iovec parts[2]
    cdef msghdr message
    cdef Py_buffer view
    cdef ssize_t size
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        parts[0].iov_base = PyBytes_AS_STRING(header)
        parts[0].iov_len = PyBytes_GET_SIZE(header)
        parts[1].iov_base = view.buf
        parts[1].iov_len = view.len
        memset(&message, 0, sizeof(message))
        message.msg_iov = parts
        message.msg_iovlen = 2
        while True:
            size = sendmsg(fd, &message, WS_SEND_FLAGS)
            if size >= 0:
                return size
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
                return -1
    finally:
        PyBuffer_Release(&view)

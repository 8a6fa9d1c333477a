"""wire.py in C, which takes its place in compiled builds. The functions are the same; see there."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove


Payload = bytes | bytearray | memoryview

FIN = 0x80
MASKED = 0x80


cdef inline void _xor(uint8_t* target, const uint8_t* source, size_t length, uint32_t key) noexcept nogil:
    cdef uint64_t wide = (<uint64_t>key << 32) | key
    cdef uint64_t word
    cdef size_t i = 0
    cdef const uint8_t* bytes_of_key = <const uint8_t*>&key
    while i + 8 <= length:
        memcpy(&word, source + i, 8)
        word ^= wide
        memcpy(target + i, &word, 8)
        i += 8
    while i < length:
        target[i] = source[i] ^ bytes_of_key[i & 3]
        i += 1


cdef inline uint32_t _key(bytes mask, Py_ssize_t offset) noexcept:
    """The four bytes of *mask*, beginning with the one for *offset*, as they lie in memory."""
    cdef const char* given = PyBytes_AS_STRING(mask)
    cdef char rotated[4]
    cdef uint32_t key
    cdef int i
    for i in range(4):
        rotated[i] = given[(i + offset) & 3]
    memcpy(&key, rotated, 4)
    return key


def apply_mask(data, bytes mask, Py_ssize_t offset=0):
    cdef Py_buffer view
    cdef bytes result
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        result = PyBytes_FromStringAndSize(NULL, view.len)
        _xor(<uint8_t*>PyBytes_AS_STRING(result), <const uint8_t*>view.buf, view.len, _key(mask, offset))
    finally:
        PyBuffer_Release(&view)
    return result


cpdef bytes unmask(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop):
    cdef bytes result = PyBytes_FromStringAndSize(NULL, stop - start)
    cdef const char* source = PyBytes_AS_STRING(data)
    cdef uint32_t key
    memcpy(&key, source + mask_at, 4)
    _xor(<uint8_t*>PyBytes_AS_STRING(result), <const uint8_t*>source + start, stop - start, key)
    return result


cdef inline Py_ssize_t _put_header(uint8_t* header, int first, int masked, uint64_t length) noexcept:
    """Write all of a header but the mask; return its size."""
    cdef int i
    header[0] = <uint8_t>first
    if length < 126:
        header[1] = <uint8_t>(masked | length)
        return 2
    if length < 65536:
        header[1] = <uint8_t>(masked | 126)
        header[2] = <uint8_t>(length >> 8)
        header[3] = <uint8_t>length
        return 4
    header[1] = <uint8_t>(masked | 127)
    for i in range(8):
        header[2 + i] = <uint8_t>(length >> (56 - 8 * i))
    return 10


cpdef bytes encode_header(int opcode, Py_ssize_t length, bint fin=True, bytes mask=b""):
    cdef uint8_t header[10]
    cdef Py_ssize_t size = _put_header(header, opcode | 0x80 if fin else opcode, 0x80 if mask else 0, length)
    return (<char*>header)[:size] + mask if mask else (<char*>header)[:size]


cdef Py_ssize_t KEPT = 512  # Bytes that an empty buffer keeps: small messages need no new memory for each.


cdef class OutBuffer:
    def __dealloc__(self):
        free(self._memory)

    def __len__(self):
        return self._end - self._start

    def __eq__(self, other):
        return bytes(self) == other

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.first(), self._end - self._start, 1, flags)
        self._exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._exports -= 1

    cdef char* first(self) noexcept:
        return self._memory + self._start

    cdef int _expect_no_view(self) except -1:
        if self._exports:
            raise BufferError("expected nobody to look into the buffer while it changes, found a memoryview of it")
        return 0

    cdef char* _reserve(self, Py_ssize_t size) except NULL:
        """Return where *size* more bytes have their place."""
        cdef Py_ssize_t used = self._end - self._start
        cdef Py_ssize_t capacity
        cdef char* memory
        self._expect_no_view()
        if self._memory is NULL or self._end + size > self._capacity:
            if self._memory is not NULL and used + size <= self._capacity and self._start >= used:
                # At most one byte is moved for each that has been taken out.
                memmove(self._memory, self._memory + self._start, used)
            else:
                capacity = max(used + size, 2 * used, 64)
                memory = <char*>malloc(capacity)
                if memory is NULL:
                    raise MemoryError()
                if used:
                    memcpy(memory, self.first(), used)
                free(self._memory)
                self._memory = memory
                self._capacity = capacity
            self._start = 0
            self._end = used
        return self._memory + self._end

    cpdef append_frame(self, int opcode, payload):
        cdef Py_buffer view
        cdef bint viewed = not PyBytes_CheckExact(payload)
        if viewed:
            PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
            try:
                self._append_frame(opcode, <const char*>view.buf, view.len)
            finally:
                PyBuffer_Release(&view)
        else:
            self._append_frame(opcode, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))

    cdef int _append_frame(self, int opcode, const char* source, Py_ssize_t length) except -1:
        cdef uint8_t header[10]
        cdef Py_ssize_t size = _put_header(header, 0x80 | opcode, 0, length)
        cdef char* target = self._reserve(size + length)
        memcpy(target, header, size)
        memcpy(target + size, source, length)
        self._end += size + length
        return 0

    cpdef extend(self, data):
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            memcpy(self._reserve(view.len), view.buf, view.len)
            self._end += view.len
        finally:
            PyBuffer_Release(&view)

    cpdef consume(self, Py_ssize_t size):
        self._expect_no_view()
        self._start += size
        if self._start >= self._end:
            self._start = self._end = 0
            if self._capacity > KEPT:
                free(self._memory)
                self._memory = NULL
                self._capacity = 0

    cpdef clear(self):
        self.consume(self._end - self._start)

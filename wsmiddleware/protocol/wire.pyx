"""wire.py in C, which takes its place in compiled builds. The functions are the same; see there."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove


Payload = bytes | bytearray | memoryview

FIN = 0x80
MASKED = 0x80


cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    /* In C, for only there it can be said that the two don't overlap: then compilers use vector instructions. */
    static void ws_xor(uint8_t* restrict target, const uint8_t* restrict source, size_t length, uint32_t key) {
        const uint64_t wide = ((uint64_t)key << 32) | key;
        uint8_t bytes_of_key[4];
        size_t i = 0;
        for (; i + 8 <= length; i += 8) {
            uint64_t word;
            memcpy(&word, source + i, 8);
            word ^= wide;
            memcpy(target + i, &word, 8);
        }
        memcpy(bytes_of_key, &key, 4);
        for (; i < length; i++)
            target[i] = source[i] ^ bytes_of_key[i & 3];
    }
    """
    void ws_xor(uint8_t* target, const uint8_t* source, size_t length, uint32_t key) noexcept nogil


cdef inline uint32_t _key(const char* given, Py_ssize_t offset) noexcept:
    """The four bytes of a mask, beginning with the one for *offset*, as they lie in memory."""
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
        ws_xor(<uint8_t*>PyBytes_AS_STRING(result), <const uint8_t*>view.buf, view.len,
               _key(PyBytes_AS_STRING(mask), offset))
    finally:
        PyBuffer_Release(&view)
    return result


cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize" (const char* source, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject** payload, Py_ssize_t size) except -1
    Py_ssize_t Py_REFCNT(PyObject* payload)

cdef extern from *:
    """
    /* Makes bytes that nobody has seen of bytes that nobody sees any more; their memory is for *size* at least. */
    static void ws_renew_bytes(PyObject* payload, Py_ssize_t size) {
        PyBytesObject* bytes = (PyBytesObject*)payload;
        Py_SET_SIZE(bytes, size);
        bytes->ob_sval[size] = 0;
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
        bytes->ob_shash = -1;
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #endif
    }
    """
    void ws_renew_bytes(PyObject* payload, Py_ssize_t size) noexcept


# The memory of payloads that nobody holds any more is filled again. For large ones the system would have to clear new
# memory, page by page: with messages of 4 MB that was a third of the time. For those of some kilobytes malloc takes as
# long as all of the parsing.
cdef enum:
    MAX_KEPT = 16
    # Bytes.
    MEDIUM = 512
    LARGE = 128 * 1024
    MAX_RING_SIZE = 32 * 1024 * 1024
cdef struct Kept:
    PyObject* payload
    Py_ssize_t capacity
cdef struct Ring:
    Kept kept[MAX_KEPT]
    int next
    Py_ssize_t size  # bytes, of all together
cdef Ring _medium, _large


cdef PyObject* _take_kept(Ring* ring, Py_ssize_t length, Py_ssize_t* capacity) noexcept:
    """Return a payload for *length* bytes that only we hold, and its *capacity*; NULL if there is none."""
    cdef Kept* kept
    cdef PyObject* payload
    cdef int i, at
    for i in range(1, MAX_KEPT + 1):
        at = (ring.next + MAX_KEPT - i) % MAX_KEPT  # The newest first: it is still in the processor's cache.
        kept = &ring.kept[at]
        if kept.payload is not NULL and Py_REFCNT(kept.payload) == 1 and length <= kept.capacity <= 4 * length:
            payload = kept.payload
            capacity[0] = kept.capacity
            kept.payload = NULL
            ring.size -= kept.capacity
            if i == 1:
                ring.next = at
            ws_renew_bytes(payload, length)
            return payload
    return NULL


cdef void _keep(Ring* ring, PyObject* payload, Py_ssize_t capacity) noexcept:
    """Hold *payload* too, in place of the one that has been held for the longest time."""
    cdef Kept* kept = &ring.kept[ring.next]
    if kept.payload is not NULL:
        ring.size -= kept.capacity
        Py_CLEAR(kept.payload)
    if ring.size + capacity <= MAX_RING_SIZE:
        Py_INCREF(<object>payload)
        kept.payload = payload
        kept.capacity = capacity
        ring.size += capacity
    ring.next = (ring.next + 1) % MAX_KEPT


cpdef bytes unmask(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop):
    cdef Py_ssize_t length = stop - start
    cdef const char* source = PyBytes_AS_STRING(data)
    cdef bytes payload
    cdef uint32_t key
    if length < MEDIUM:
        payload = PyBytes_FromStringAndSize(NULL, length)
    else:
        payload = _new_medium(length)
    memcpy(&key, source + mask_at, 4)
    ws_xor(<uint8_t*>PyBytes_AS_STRING(payload), <const uint8_t*>source + start, length, key)
    return payload


cdef bytes _new_medium(Py_ssize_t length):
    """Return *length* bytes to fill, if possible in memory that has been used before."""
    cdef Py_ssize_t capacity = length
    cdef PyObject* payload = NULL
    if length < LARGE:
        payload = _take_kept(&_medium, length, &capacity)
    if payload is NULL:
        payload = new_bytes(NULL, length)
    if length < LARGE:
        _keep(&_medium, payload, capacity)
    result = <bytes>payload
    Py_DECREF(result)
    return result


@cython.final
cdef class TextCheck:
    """By table 3-7 of the Unicode standard, "Well-Formed UTF-8 Byte Sequences"."""

    def __cinit__(self):
        self._least, self._most = 0x80, 0xBF  # of the next byte, when one is missing

    cpdef bint add(self, bytes part):
        return self.check(<const uint8_t*>PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))

    cdef bint check(self, const uint8_t* part, Py_ssize_t length) noexcept:
        cdef Py_ssize_t i = 0
        cdef uint8_t byte
        cdef uint64_t word
        while i < length:
            if not self._missing and i + 8 <= length:
                memcpy(&word, part + i, 8)
                if not word & <uint64_t>0x8080808080808080:
                    i += 8
                    continue
            byte = part[i]
            i += 1
            if self._missing:
                if byte < self._least or byte > self._most:
                    return False
                self._least, self._most = 0x80, 0xBF
                self._missing -= 1
            elif byte >= 0x80:
                if byte < 0xC2 or byte > 0xF4:
                    return False
                self._missing = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
                if byte == 0xE0:
                    self._least = 0xA0
                elif byte == 0xED:
                    self._most = 0x9F
                elif byte == 0xF0:
                    self._least = 0x90
                elif byte == 0xF4:
                    self._most = 0x8F
        return True


cdef Py_ssize_t AT_ONCE = 16 * 1024 * 1024  # Bytes for which memory is taken before they have come.


@cython.final
cdef class PartialPayload:
    def __cinit__(self, Py_ssize_t length, bytes mask):
        self.missing = length
        self._masked = bool(mask)
        if mask:
            memcpy(self._mask, PyBytes_AS_STRING(mask), 4)
        if length >= LARGE:
            self._payload = _take_kept(&_large, length, &self._capacity)
        if self._payload is NULL:
            self._capacity = min(length, AT_ONCE)
            self._payload = new_bytes(NULL, self._capacity)

    def __dealloc__(self):
        Py_XDECREF(self._payload)

    cpdef Py_ssize_t add(self, bytes data, Py_ssize_t start, Py_ssize_t stop) except -1:
        cdef Py_ssize_t size = min(stop - start, self.missing)
        cdef const uint8_t* source = <const uint8_t*>PyBytes_AS_STRING(data) + start
        cdef uint8_t* target
        if self._filled + size > self._capacity:
            self._capacity = min(self._filled + self.missing, 2 * self._capacity + size)
            _PyBytes_Resize(&self._payload, self._capacity)
        target = <uint8_t*>PyBytes_AS_STRING(<object>self._payload) + self._filled
        if self._masked:
            ws_xor(target, source, size, _key(self._mask, self._filled))
        else:
            memcpy(target, source, size)
        self._filled += size
        self.missing -= size
        return size

    cpdef bint add_last_to(self, TextCheck text, Py_ssize_t size):
        return text.check(<const uint8_t*>PyBytes_AS_STRING(<object>self._payload) + self._filled - size, size)

    cpdef bytes take(self):
        if self._capacity >= LARGE:
            _keep(&_large, self._payload, self._capacity)
        return <bytes>self._payload


cdef enum:
    MAX_HEADER = 10  # Bytes, without the mask.


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
    cdef uint8_t header[MAX_HEADER]
    cdef Py_ssize_t size = _put_header(header, opcode | 0x80 if fin else opcode, 0x80 if mask else 0, length)
    return (<char*>header)[:size] + mask if mask else (<char*>header)[:size]


# Empty buffers keep no memory: there may be very many. Some that was theirs is kept for whichever fills next.
cdef enum:
    BLOCK = 4096
    MAX_SPARE = 64
cdef char* _spare[MAX_SPARE]
cdef int _spares = 0


cdef char* _take_block() except NULL:
    global _spares
    cdef char* memory
    if _spares:
        _spares -= 1
        return _spare[_spares]
    memory = <char*>malloc(BLOCK)
    if memory is NULL:
        raise MemoryError()
    return memory


cdef void _give_back(char* memory, Py_ssize_t capacity) noexcept:
    global _spares
    if capacity == BLOCK and _spares < MAX_SPARE:
        _spare[_spares] = memory
        _spares += 1
    else:
        free(memory)


cdef enum:
    WORTH_REFERRING = 8 * 1024  # Bytes from which it is cheaper to keep a payload than to copy it.


@cython.final
cdef class OutBuffer:
    # First the memory from start to end, then, if there is one, the large payload from large_start.

    def __dealloc__(self):
        if self._memory is not NULL:
            _give_back(self._memory, self._capacity)

    def __len__(self):
        return self.size()

    def __eq__(self, other):
        return bytes(self) == other

    def __getbuffer__(self, Py_buffer* view, int flags):
        self._copy_large()
        PyBuffer_FillInfo(view, self, self.first(), self._end - self._start, 1, flags)
        self._exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self._exports -= 1

    cpdef Py_ssize_t size(self) noexcept:
        cdef Py_ssize_t size = self._end - self._start
        return size if self._large is None else size + PyBytes_GET_SIZE(self._large) - self._large_start

    cdef char* first(self) noexcept:
        return self._memory + self._start

    cdef int _expect_no_view(self) except -1:
        if self._exports:
            raise BufferError("expected nobody to look into the buffer while it changes, found a memoryview of it")
        return 0

    cdef int _copy_large(self) except -1:
        """Have all that there is in the memory."""
        cdef bytes large = self._large
        cdef Py_ssize_t size
        if large is not None:
            size = PyBytes_GET_SIZE(large) - self._large_start
            memcpy(self._reserve(size), PyBytes_AS_STRING(large) + self._large_start, size)
            self._end += size
            self._large = None
        return 0

    cdef char* _reserve(self, Py_ssize_t size) except NULL:
        """Return where *size* more bytes have their place in the memory."""
        if self._end + size > self._capacity or self._exports:
            self._make_room(size)
        return self._memory + self._end

    cdef int _make_room(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t used = self._end - self._start
        cdef Py_ssize_t capacity
        cdef char* memory
        self._expect_no_view()
        if self._memory is NULL and size <= BLOCK:
            self._memory = _take_block()
            self._capacity = BLOCK
        elif used + size <= self._capacity and self._start >= used:
            # At most one byte is moved for each that has been taken out.
            memmove(self._memory, self._memory + self._start, used)
        else:
            capacity = max(used + size, 2 * used)
            memory = <char*>malloc(capacity)
            if memory is NULL:
                raise MemoryError()
            if self._memory is not NULL:
                memcpy(memory, self.first(), used)
                _give_back(self._memory, self._capacity)
            self._memory = memory
            self._capacity = capacity
        self._start = 0
        self._end = used
        return 0

    cpdef int append_frame(self, int opcode, payload) except -1:
        cdef Py_ssize_t length
        if not PyBytes_CheckExact(payload):
            return self._append_view(opcode, payload)
        length = PyBytes_GET_SIZE(payload)
        if length < WORTH_REFERRING:
            return self._append(opcode, length, PyBytes_AS_STRING(payload), length)
        self._append(opcode, length, NULL, 0)
        self._large = payload
        self._large_start = 0
        return 0

    cdef int _append_view(self, int opcode, payload) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            return self._append(opcode, view.len, <const char*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int _append(self, int opcode, Py_ssize_t length, const char* payload, Py_ssize_t size) except -1:
        """Append the header for *length* bytes, and *size* of them."""
        cdef uint8_t* target
        cdef Py_ssize_t header
        if self._large is not None:
            self._copy_large()
        target = <uint8_t*>self._reserve(MAX_HEADER + size)
        header = _put_header(target, 0x80 | opcode, 0, length)
        memcpy(target + header, payload, size)
        self._end += header + size
        return 0

    cpdef extend(self, data):
        cdef Py_buffer view
        self._copy_large()
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len:
                memcpy(self._reserve(view.len), view.buf, view.len)
                self._end += view.len
        finally:
            PyBuffer_Release(&view)

    cpdef int consume(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t in_memory = min(size, self._end - self._start)
        self._expect_no_view()
        self._start += in_memory
        if self._start == self._end:
            self._start = self._end = 0
            if self._memory is not NULL:
                _give_back(self._memory, self._capacity)
                self._memory = NULL
                self._capacity = 0
            if self._large is not None:
                self._large_start += size - in_memory
                if self._large_start >= PyBytes_GET_SIZE(self._large):
                    self._large = None
        return 0

    cpdef clear(self):
        self.consume(self.size())

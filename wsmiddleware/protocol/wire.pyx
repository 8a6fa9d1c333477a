"""wire.py in C, which takes its place in compiled builds. The functions are the same; see there."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


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


cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes mask, Py_ssize_t offset):
    cdef bytes result = PyBytes_FromStringAndSize(NULL, stop - start)
    _xor(
        <uint8_t*>PyBytes_AS_STRING(result),
        <const uint8_t*>PyBytes_AS_STRING(data) + start,
        stop - start,
        _key(mask, offset),
    )
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


cpdef int append_frame(bytearray out, int opcode, payload) except -1:
    cdef Py_buffer view
    cdef Py_ssize_t length
    cdef const char* source
    cdef bint viewed = not PyBytes_CheckExact(payload)
    if viewed:
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        source = <const char*>view.buf
        length = view.len
    else:
        source = PyBytes_AS_STRING(payload)
        length = PyBytes_GET_SIZE(payload)
    cdef uint8_t header[10]
    cdef Py_ssize_t size = _put_header(header, 0x80 | opcode, 0, length)
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
    cdef char* target
    try:
        PyByteArray_Resize(out, before + size + length)
        target = PyByteArray_AS_STRING(out) + before
        memcpy(target, header, size)
        memcpy(target + size, source, length)
    finally:
        if viewed:
            PyBuffer_Release(&view)
    return 0

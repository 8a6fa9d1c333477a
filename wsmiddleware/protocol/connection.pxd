cimport cython

from wsmiddleware.protocol.wire cimport OutBuffer, PartialPayload, TextCheck, unmask

cdef int BINARY, CLOSE, CONTINUATION, LENGTH, MAX_CONTROL, OPCODE, PING, PONG, RESERVED, RSV1, TEXT, FIN, MASKED
cdef int _OPEN, _CLOSING


@cython.final
cdef class Connection:
    cdef public int state
    cdef public object received
    cdef public object sent
    cdef public object received_first
    cdef public OutBuffer out

    cdef Py_ssize_t _max_message_size
    cdef object _new_mask
    cdef object _deflate

    cdef bytes _data
    cdef Py_ssize_t _position
    cdef Py_ssize_t _end

    cdef PartialPayload _partial
    cdef bint _final

    cdef int _opcode
    cdef bytearray _message
    cdef TextCheck _text
    cdef int _empty_fragments
    cdef bint _is_compressed
    cdef Py_ssize_t _payload_size

    cpdef receive(self, bytes data, Py_ssize_t size=*)
    cpdef keep_rest(self)
    cpdef receive_eof(self)
    cpdef next_event(self)

    cpdef int send_message(self, int opcode, data) except -1
    cpdef send_frame(self, frame)
    cpdef ping(self, data=*)
    cpdef pong(self, data)
    cpdef close(self, code, reason=*)
    cpdef fail(self, code, reason)
    cdef _send_close(self, close)
    cdef inline int _put(self, int opcode, data) except -1
    cdef _put_masked(self, int opcode, data)
    cdef inline int _expect_open(self) except -1

    @cython.locals(
        data=bytes, position=Py_ssize_t, first=int, length=Py_ssize_t, mask_at=Py_ssize_t, start=Py_ssize_t,
        payload=bytes,
    )
    cdef inline _whole_message(self)
    @cython.locals(
        data=bytes, position=Py_ssize_t, end=Py_ssize_t, first=int, second=int, opcode=int, length=Py_ssize_t,
        size=Py_ssize_t, mask_at=Py_ssize_t, payload=bytes, final=bint,
    )
    cdef _parse(self)
    cdef _next_parsed(self)
    @cython.locals(reserved=int)
    cdef int _check_header(self, int first, int second, int opcode, Py_ssize_t length) except -1
    @cython.locals(most=Py_ssize_t)
    cdef int _begin_frame(self, int first, int opcode, Py_ssize_t length) except -1
    @cython.locals(size=Py_ssize_t)
    cdef bint _fill(self, PartialPayload partial) except -1
    cdef TextCheck _text_so_far(self)
    cdef int _expect_text(self, bint is_text) except -1
    @cython.locals(opcode=int, is_empty=bint)
    cdef _end_frame(self, bytes payload, bint final)
    cdef bytes _decompress(self, bytes payload, bint final)
    cdef _control(self, int opcode, bytes payload)
    cdef _forget(self)


cdef bytes _payload(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(length=Py_ssize_t, at=Py_ssize_t)
cdef Py_ssize_t _extended_length(bytes data, Py_ssize_t start, Py_ssize_t size) except -1

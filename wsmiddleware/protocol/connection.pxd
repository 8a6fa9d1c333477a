cimport cython

from wsmiddleware.protocol.wire cimport OutBuffer, unmask

cdef int BINARY, CLOSE, CONTINUATION, LENGTH, MAX_CONTROL, OPCODE, PING, PONG, RESERVED, TEXT, FIN, MASKED
cdef int _OPEN, _CLOSING


cdef class Connection:
    cdef public int state
    cdef public object received
    cdef public object sent
    cdef public object received_first
    cdef public OutBuffer out

    cdef Py_ssize_t _max_message_size
    cdef object _new_mask

    cdef bytes _data
    cdef Py_ssize_t _position
    cdef Py_ssize_t _end

    cdef Py_ssize_t _remaining
    cdef bytes _mask
    cdef Py_ssize_t _offset
    cdef bint _final

    cdef int _opcode
    cdef bytearray _message
    cdef object _validate
    cdef int _empty_fragments

    cpdef receive(self, bytes data, Py_ssize_t size=*)
    cpdef keep_rest(self)
    cpdef receive_eof(self)
    cpdef next_event(self)

    cpdef send_text(self, data)
    cpdef send_binary(self, data)
    cpdef send_frame(self, bytes frame)
    cpdef ping(self, data=*)
    cpdef pong(self, data)
    cpdef close(self, code, reason=*)
    cpdef fail(self, code, reason)
    cdef _send(self, int opcode, data)
    cdef _send_close(self, close)
    cdef _put(self, int opcode, data)
    cdef _expect_open(self)

    @cython.locals(
        data=bytes, position=Py_ssize_t, end=Py_ssize_t, first=int, second=int, opcode=int, length=Py_ssize_t,
        size=Py_ssize_t, mask_at=Py_ssize_t, payload=bytes,
    )
    cdef _parse(self)
    cdef _check_header(self, int first, int second, int opcode, Py_ssize_t length)
    @cython.locals(before=Py_ssize_t)
    cdef _begin_fragment(self, int opcode, Py_ssize_t length)
    @cython.locals(start=Py_ssize_t, stop=Py_ssize_t, part=bytes)
    cdef bytes _next_part(self)
    cdef _end_fragment(self, bytes payload, bint final)
    cdef _control(self, int opcode, bytes payload)
    cdef _forget(self)
    cdef _forget_message(self)


cdef bytes _payload(bytes data, Py_ssize_t mask_at, Py_ssize_t start, Py_ssize_t stop)
cdef _decode(bytes payload)

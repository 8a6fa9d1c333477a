cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t stop, bytes mask, Py_ssize_t offset)
cpdef bytes encode_header(int opcode, Py_ssize_t length, bint fin=*, bytes mask=*)
cpdef int append_frame(bytearray out, int opcode, payload) except -1

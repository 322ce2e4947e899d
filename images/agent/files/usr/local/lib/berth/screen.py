"""The desktop's screen, asked by the X protocol itself: whether it is there, and since when nobody has typed or pointed.

Spoken by hand, for Xlib ends the whole process when the X server goes away.
"""

import os
import socket
import struct


class Screen:
    """A connection to the X server of $DISPLAY. Every method raises OSError if it is not there."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        try:
            self._socket.connect("/tmp/.X11-unix/X" + os.environ["DISPLAY"].removeprefix(":"))
            self._root = self._set_up()
            self._saver = self._extension(b"MIT-SCREEN-SAVER")
        except BaseException:
            self._socket.close()
            raise

    def idle_seconds(self):
        """Seconds since the last input, by keyboard or pointer, of a person or a program."""
        self._socket.sendall(struct.pack("<BBHI", self._saver, 1, 2, self._root))  # QueryInfo
        (milliseconds,) = struct.unpack_from("<I", self._reply(), 16)
        return milliseconds / 1000

    def close(self):
        self._socket.close()

    def _set_up(self):
        """Begins little-endian, protocol 11.0, without authorization; returns the first screen's root window."""
        self._socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        status, length = struct.unpack("<B5xH", self._read(8))
        rest = self._read(4 * length)
        if status != 1:
            raise OSError("the X server refuses the connection")
        (vendor,) = struct.unpack_from("<H", rest, 16)
        (formats,) = struct.unpack_from("<B", rest, 21)
        (root,) = struct.unpack_from("<I", rest, 32 + (vendor + 3) // 4 * 4 + 8 * formats)
        return root

    def _extension(self, name):
        length = 2 + (len(name) + 3) // 4
        padded = name.ljust((len(name) + 3) // 4 * 4, b"\0")
        self._socket.sendall(struct.pack("<BxHHxx", 98, length, len(name)) + padded)  # QueryExtension
        present, opcode = struct.unpack_from("<BB", self._reply(), 8)
        if not present:
            raise OSError(f"the X server has no {name.decode()}")
        return opcode

    def _reply(self):
        """The next reply; events, which nobody asked for, are passed over."""
        while True:
            head = self._read(32)
            if head[0] == 0:
                raise OSError(f"X error {head[1]}")
            if head[0] == 1:
                (more,) = struct.unpack_from("<I", head, 4)
                return head + self._read(4 * more)

    def _read(self, count):
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise OSError("the X server has closed the connection")
            data += part
        return data

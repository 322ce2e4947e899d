"""A VNC client for tests. It runs inside the container, because VNC listens only there: python3 - size | resize W H | paste TEXT | copy X Y

size    prints width, height and depth of the screen
resize  requests another size and prints the size that the server then has
paste   puts TEXT into the clipboard, pastes TEXT into the window with the keyboard focus, and presses Enter
copy    double-clicks at X, Y and prints the content of the clipboard
"""

import socket
import struct
import sys
import time

EXTENDED_DESKTOP_SIZE = -308
SHIFT, INSERT, ENTER = 0xFFE1, 0xFF63, 0xFF0D

server = socket.create_connection(("127.0.0.1", 5900), timeout=20)


def read(length):
    data = b""
    while len(data) < length:
        more = server.recv(length - len(data))
        if not more:
            raise EOFError("the server closed the connection")
        data += more
    return data


def unpack(form):
    return struct.unpack(form, read(struct.calcsize(form)))


def key(symbol, down):
    server.sendall(struct.pack(">BBxxI", 4, down, symbol))


def request_picture(incremental):
    server.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, 1, 1))


def message():
    """The next message: ("size", (width, height)), ("clipboard", text) or ("other", None)."""
    (kind,) = unpack(">B")
    if kind == 3:
        (length,) = unpack(">xxxI")
        return "clipboard", read(length).decode("latin-1")
    if kind != 0:
        return "other", None
    (rectangles,) = unpack(">xH")
    size = None
    for _ in range(rectangles):
        _, _, width, height, encoding = unpack(">HHHHi")
        if encoding == EXTENDED_DESKTOP_SIZE:
            (screens,) = unpack(">Bxxx")
            read(16 * screens)
            size = width, height
        else:
            read(width * height * bits // 8)
    return ("size", size) if size else ("other", None)


def wait(kind):
    while True:
        found, value = message()
        if found == kind:
            return value


read(12)
server.sendall(b"RFB 003.008\n")
read(unpack(">B")[0])
server.sendall(b"\x01")
assert unpack(">I") == (0,), "the server refuses the connection"
server.sendall(b"\x01")
width, height, bits, depth = unpack(">HHBB14x")
read(unpack(">I")[0])
server.sendall(struct.pack(">BxHii", 2, 2, 0, EXTENDED_DESKTOP_SIZE))

command, *arguments = sys.argv[1:]
if command == "size":
    print(width, height, depth)
elif command == "resize":
    request_picture(0)
    wait("size")
    w, h = map(int, arguments)
    server.sendall(struct.pack(">BxHHBx", 251, w, h, 1) + struct.pack(">IHHHHI", 0, 0, 0, w, h, 0))
    request_picture(1)
    print(*wait("size"))
elif command == "paste":
    text = arguments[0].encode("latin-1")
    server.sendall(struct.pack(">BxxxI", 6, len(text)) + text)
    time.sleep(0.5)
    for symbol, down in ((SHIFT, 1), (INSERT, 1), (INSERT, 0), (SHIFT, 0), (ENTER, 1), (ENTER, 0)):
        key(symbol, down)
        time.sleep(0.2)
elif command == "copy":
    x, y = map(int, arguments)
    # The events are sent in one go, because clicks with a pause of 250 ms are no double click for xterm.
    server.sendall(b"".join(struct.pack(">BBHH", 5, buttons, x, y) for buttons in (0, 1, 0, 1, 0)))
    print(wait("clipboard"))

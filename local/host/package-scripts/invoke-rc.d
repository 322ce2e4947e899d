#!/bin/sh
# Package scripts find this program instead of Debian's. It starts no service.

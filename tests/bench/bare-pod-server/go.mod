module berth/bench/bare-pod-server

go 1.26.0

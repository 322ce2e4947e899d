// The simplest possible server that can run commands and transfer a file in a session's pod, without any checks.
// data.bench.ts runs it as `bare-pod-server PORT FILE`.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
)

func main() {
	port, file := os.Args[1], os.Args[2]
	http.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		var command []string
		if err := json.NewDecoder(r.Body).Decode(&command); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		output, err := exec.Command(command[0], command[1:]...).Output()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(output)
	})
	http.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	http.HandleFunc("PUT /file", func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Create(file)
		if err == nil {
			_, err = io.Copy(f, r.Body)
			err = firstOf(err, f.Close())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening")
	log.Fatal(http.Serve(listener, nil))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

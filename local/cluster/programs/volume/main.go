// volume makes and removes the directory of one volume: the helper that local-path-provisioner runs in a pod,
// in place of a shell script, so that its image needs no shell.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	path := flag.String("p", "", "the volume's directory")
	action := flag.String("a", "", "create or delete")
	_ = flag.String("s", "", "size in bytes; a directory has no limit, so it is ignored")
	_ = flag.String("m", "", "volume mode; only Filesystem is offered")
	flag.Parse()
	if *path == "" {
		log.Fatal("volume: -p is missing")
	}
	var err error
	switch *action {
	case "create":
		if err = os.MkdirAll(*path, 0o777); err == nil {
			err = os.Chmod(*path, 0o777) // past the umask: any uid may be the pod's
		}
	case "delete":
		err = os.RemoveAll(*path)
	default:
		log.Fatalf("volume: -a is %q, must be create or delete", *action)
	}
	if err != nil {
		log.Fatal(err)
	}
}

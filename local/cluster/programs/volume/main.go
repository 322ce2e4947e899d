// volume creates or removes the directory of one volume. local-path-provisioner runs it in a pod, where it replaces a shell
// script, so the image needs no shell.
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
			err = os.Chmod(*path, 0o777) // the umask would remove permissions, but a pod may have any uid
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

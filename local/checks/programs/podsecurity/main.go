// podsecurity checks pods with Kubernetes' own Pod Security library. Each line of its input is a pod template as JSON. Each line
// of its output says why the template is refused, or is empty if the template is accepted.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	log.SetFlags(0)
	version := flag.String("version", "latest", "the version of the level restricted, for example v1.34")
	flag.Parse()
	parsed, err := api.ParseVersion(*version)
	if err != nil {
		log.Fatalf("podsecurity: -version: %v", err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: parsed}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var pod corev1.PodTemplateSpec
		if err := json.Unmarshal(lines.Bytes(), &pod); err != nil {
			log.Fatalf("podsecurity: not a pod template: %v", err)
		}
		verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
		fmt.Println(verdict.ForbiddenDetail())
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

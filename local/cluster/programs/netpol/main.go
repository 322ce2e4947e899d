// netpol enforces networking.k8s.io/v1 NetworkPolicies on the local cluster's one node, with nftables.
//
// Only the local cluster uses netpol, because it has no network plugin that enforces policies. On other clusters, the plugin
// (Calico, Cilium, …) enforces them. netpol supports IPv4 and one node. As with every plugin, a new pod is not filtered from the
// moment in which its status has an address until the rules are written.
package main

import (
	"flag"
	"log"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"berth/local/netpol/rules"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of the kubeconfig")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()

	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	onAnyChange := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(onAnyChange); err != nil {
			log.Fatal(err)
		}
	}
	factory.Start(nil)
	factory.WaitForCacheSync(nil)

	notify() // writes the first rules, even if no change is reported
	applied := ""
	for {
		select {
		case <-changed:
			time.Sleep(20 * time.Millisecond) // changes come in bursts
		case <-time.After(30 * time.Second):
			applied = "" // writes the rules again, because somebody may have deleted them
		}
		allPods, _ := pods.Lister().List(labels.Everything())
		allNamespaces, _ := namespaces.Lister().List(labels.Everything())
		allPolicies, _ := policies.Lister().List(labels.Everything())
		wanted := rules.Ruleset(allPods, allNamespaces, allPolicies)
		if wanted == applied {
			continue
		}
		command := exec.Command("nft", "-f", "-")
		command.Stdin = strings.NewReader(wanted)
		if output, err := command.CombinedOutput(); err != nil {
			log.Printf("nft refused the rules, trying again: %v: %s\n%s", err, output, wanted)
			time.AfterFunc(time.Second, notify)
			continue
		}
		applied = wanted
	}
}

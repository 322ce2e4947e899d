// Package rules computes what the node lets through. It imports Kubernetes' types but not its client, so that its tests compile
// faster.
package rules

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Ruleset returns the nftables rules of the policies as one table, which `nft -f` loads in one transaction.
//
// An isolated pod has one chain for each isolated direction. The chain returns for what a policy allows, and drops the rest.
// Traffic between pods passes the hook `forward`; traffic from a pod to the node passes the hook `input`. Traffic from the node
// to pods, for example a probe, is always allowed, as Kubernetes requires. Traffic from the node's machine to pods, for example
// to a node port, is always allowed too.
func Ruleset(pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*networkingv1.NetworkPolicy) string {
	w := world{pods: reachable(pods), namespaces: map[string]labels.Set{}}
	for _, namespace := range namespaces {
		w.namespaces[namespace.Name] = namespace.Labels
	}
	var chains strings.Builder
	var ingressJumps, egressJumps []string
	for _, pod := range w.pods {
		ingress, egress := w.allowed(pod, policies)
		if ingress != nil {
			name := writeChain(&chains, "in", pod, ingress)
			ingressJumps = append(ingressJumps, pod.Status.PodIP+" : jump "+name)
		}
		if egress != nil {
			name := writeChain(&chains, "out", pod, egress)
			egressJumps = append(egressJumps, pod.Status.PodIP+" : jump "+name)
		}
	}
	return "add table ip berth_netpol\ndelete table ip berth_netpol\ntable ip berth_netpol {\n" +
		chains.String() +
		baseChain("forward", "    iifname machine0 accept\n"+verdictMap("saddr", egressJumps)+verdictMap("daddr", ingressJumps)) +
		baseChain("input", verdictMap("saddr", egressJumps)) +
		"}\n"
}

type world struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
}

// reachable returns the pods that use their own address, one pod for each address, in a stable order. If two pods have the same
// address, it returns the newer one, because the older pod has ended and its status still names the address.
func reachable(pods []*corev1.Pod) []*corev1.Pod {
	byIP := map[string]*corev1.Pod{}
	for _, pod := range pods {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if pod.Status.PodIP == "" || pod.Spec.HostNetwork || ended {
			continue
		}
		if other := byIP[pod.Status.PodIP]; other == nil || other.CreationTimestamp.Before(&pod.CreationTimestamp) {
			byIP[pod.Status.PodIP] = pod
		}
	}
	kept := make([]*corev1.Pod, 0, len(byIP))
	for _, pod := range byIP {
		kept = append(kept, pod)
	}
	slices.SortFunc(kept, func(a, b *corev1.Pod) int { return strings.Compare(string(a.UID), string(b.UID)) })
	return kept
}

// allowed returns, for each direction, the matches of the traffic that the policies allow. nil: no policy isolates the pod in
// this direction.
func (w world) allowed(pod *corev1.Pod, policies []*networkingv1.NetworkPolicy) (ingress, egress []string) {
	for _, policy := range policies {
		if policy.Namespace != pod.Namespace || !selects(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) {
			if ingress == nil {
				ingress = []string{}
			}
			for _, rule := range policy.Spec.Ingress {
				ports := portMatches(rule.Ports, []*corev1.Pod{pod})
				ingress = append(ingress, product(w.peerMatches(policy.Namespace, rule.From, "saddr"), ports)...)
			}
		}
		if slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			if egress == nil {
				egress = []string{}
			}
			for _, rule := range policy.Spec.Egress {
				ports := portMatches(rule.Ports, w.pods)
				egress = append(egress, product(w.peerMatches(policy.Namespace, rule.To, "daddr"), ports)...)
			}
		}
	}
	return ingress, egress
}

// peerMatches returns the matches of the peers: one for each block of IPv4 addresses, and one for all selected pods. Without
// peers, every address matches.
func (w world) peerMatches(namespace string, peers []networkingv1.NetworkPolicyPeer, field string) []string {
	if len(peers) == 0 {
		return []string{""}
	}
	var matches, addresses []string
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if match, ok := blockMatch(*peer.IPBlock, field); ok {
				matches = append(matches, match)
			}
			continue
		}
		for _, pod := range w.pods {
			inNamespace := pod.Namespace == namespace
			if peer.NamespaceSelector != nil {
				inNamespace = selects(peer.NamespaceSelector, w.namespaces[pod.Namespace])
			}
			if inNamespace && (peer.PodSelector == nil || selects(peer.PodSelector, pod.Labels)) {
				addresses = append(addresses, pod.Status.PodIP)
			}
		}
	}
	if len(addresses) > 0 {
		slices.Sort(addresses)
		matches = append(matches, fmt.Sprintf("ip %s { %s } ", field, strings.Join(slices.Compact(addresses), ", ")))
	}
	return matches
}

// blockMatch returns false for a block of IPv6 addresses.
func blockMatch(block networkingv1.IPBlock, field string) (string, bool) {
	if !isIPv4(block.CIDR) {
		return "", false
	}
	match := fmt.Sprintf("ip %s %s ", field, block.CIDR)
	except := slices.DeleteFunc(slices.Clone(block.Except), func(cidr string) bool { return !isIPv4(cidr) })
	for _, cidr := range except {
		match += fmt.Sprintf("ip %s != %s ", field, cidr)
	}
	return match, true
}

func isIPv4(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().Is4()
}

// portMatches returns the matches of the ports: one for each port with a number, and for each named port one for each target that
// has it. The targets are the selected pod for ingress, and all pods for egress. Without ports, every port matches.
func portMatches(ports []networkingv1.NetworkPolicyPort, targets []*corev1.Pod) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var matches []string
	for _, port := range ports {
		protocol := corev1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		proto := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			matches = append(matches, "meta l4proto "+proto+" ")
		case port.Port.Type == intstr.String:
			for _, target := range targets {
				for _, number := range namedPorts(target, port.Port.StrVal, protocol) {
					matches = append(matches, fmt.Sprintf("ip daddr %s %s dport %d ", target.Status.PodIP, proto, number))
				}
			}
		case port.EndPort != nil:
			matches = append(matches, fmt.Sprintf("%s dport %d-%d ", proto, port.Port.IntVal, *port.EndPort))
		default:
			matches = append(matches, fmt.Sprintf("%s dport %d ", proto, port.Port.IntVal))
		}
	}
	return matches
}

func namedPorts(pod *corev1.Pod, name string, protocol corev1.Protocol) (numbers []int32) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == corev1.ProtocolTCP) {
				numbers = append(numbers, port.ContainerPort)
			}
		}
	}
	return numbers
}

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

func product(as, bs []string) (all []string) {
	for _, a := range as {
		for _, b := range bs {
			all = append(all, a+b)
		}
	}
	return all
}

func writeChain(out *strings.Builder, direction string, pod *corev1.Pod, matches []string) string {
	hash := fnv.New64a()
	hash.Write([]byte(pod.UID))
	name := fmt.Sprintf("%s_%016x", direction, hash.Sum64())
	slices.Sort(matches)
	fmt.Fprintf(out, "  chain %s { # %s/%s\n", name, pod.Namespace, pod.Name)
	for _, match := range slices.Compact(matches) {
		fmt.Fprintf(out, "    %sreturn\n", match)
	}
	out.WriteString("    counter drop\n  }\n")
	return name
}

func verdictMap(field string, jumps []string) string {
	if len(jumps) == 0 {
		return ""
	}
	return fmt.Sprintf("    ip %s vmap { %s }\n", field, strings.Join(jumps, ", "))
}

func baseChain(hook, rules string) string {
	return fmt.Sprintf("  chain %s {\n    type filter hook %s priority 10; policy accept;\n"+
		"    ct state established,related accept\n%s  }\n", hook, hook, rules)
}

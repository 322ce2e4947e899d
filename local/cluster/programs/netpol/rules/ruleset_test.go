package rules

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(namespace, name, ip string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(name), Labels: map[string]string{"app": name},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}},
		}}},
		Status: corev1.PodStatus{PodIP: ip, Phase: phase},
	}
}

func TestRuleset(t *testing.T) {
	web := intstr.FromString("web")
	pods := []*corev1.Pod{
		pod("a", "server", "10.244.0.2", corev1.PodRunning),
		pod("b", "client", "10.244.0.3", corev1.PodRunning),
		pod("b", "done", "10.244.0.4", corev1.PodSucceeded),
		pod("b", "waiting", "", corev1.PodPending),
	}
	namespaces := []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: map[string]string{"team": "b"}}},
	}
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "server"},
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: both,
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From: []networkingv1.NetworkPolicyPeer{
					{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}},
				},
				Ports: []networkingv1.NetworkPolicyPort{{Port: &web}},
			}},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To: []networkingv1.NetworkPolicyPeer{
					{IPBlock: &networkingv1.IPBlock{CIDR: "192.0.2.0/24", Except: []string{"192.0.2.8/29", "192.0.2.128/25"}}},
					{IPBlock: &networkingv1.IPBlock{CIDR: "2001:db8::/32"}},
				},
			}},
		},
	}

	rules := Ruleset(pods, namespaces, []*networkingv1.NetworkPolicy{policy})
	for _, want := range []string{
		"iifname machine0 accept\n    ip saddr vmap", // before every rule that drops
		"ip saddr { 10.244.0.3 } ip daddr 10.244.0.2 tcp dport 8080 return",
		"ip daddr 192.0.2.0/24 ip daddr != 192.0.2.8/29 ip daddr != 192.0.2.128/25 return",
		"ip daddr vmap { 10.244.0.2 : jump in_",
		"ip saddr vmap { 10.244.0.2 : jump out_",
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("%q is missing in\n%s", want, rules)
		}
	}
	for _, unwanted := range []string{"10.244.0.4", "2001:db8", "10.244.0.3 : jump"} {
		if strings.Contains(rules, unwanted) {
			t.Errorf("%q must not be in\n%s", unwanted, rules)
		}
	}
}

func TestRulesetWithoutPods(t *testing.T) {
	if rules := Ruleset(nil, nil, nil); strings.Contains(rules, "vmap") || !strings.Contains(rules, "hook forward") {
		t.Errorf("an empty cluster needs the base chains only:\n%s", rules)
	}
}

func TestAddressReusedByNewerPod(t *testing.T) {
	old, young := pod("a", "old", "10.244.0.2", corev1.PodRunning), pod("a", "young", "10.244.0.2", corev1.PodRunning)
	old.CreationTimestamp, young.CreationTimestamp = metav1.Unix(1, 0), metav1.Unix(2, 0)
	kept := reachable([]*corev1.Pod{young, old})
	if len(kept) != 1 || kept[0].Name != "young" {
		t.Errorf("kept %v, want the younger pod only", kept)
	}
}

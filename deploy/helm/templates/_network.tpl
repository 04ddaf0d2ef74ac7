{{/* Who may talk to whom. Everything not listed is denied by networkpolicy.yaml. */}}

{{- define "exchangeai.networkPolicy" -}}
{{- $root := .root -}}
{{- $context := dict "root" .root "name" .name -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "exchangeai.selector" $context | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if not (or .open .callers) }}
  ingress: []
  {{- else }}
  ingress:
    {{- if .open }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
    {{- else if .callers }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      from:
        {{- range .callers }}
        - podSelector:
            matchLabels: {{- include "exchangeai.selector" (dict "root" $root "name" .) | nindent 14 }}
        {{- end }}
        {{- range (index $root.Values .name).clientNamespaces }}
        - namespaceSelector:
            matchLabels: {kubernetes.io/metadata.name: {{ . }}}
        {{- end }}
    {{- end }}
    {{- with and .rest (index $root.Values .name).clientNamespaces }}
    # Inside the release everyone speaks gRPC.
    - ports: [{port: 8082, protocol: TCP}]
      from:
        {{- range . }}
        - namespaceSelector:
            matchLabels: {kubernetes.io/metadata.name: {{ . }}}
        {{- end }}
    {{- end }}
    {{- if and $root.Values.metrics.enabled $root.Values.metrics.namespace .backends }}
    - ports: [{port: 9090, protocol: TCP}]
      from:
        - namespaceSelector:
            matchLabels: {kubernetes.io/metadata.name: {{ $root.Values.metrics.namespace }}}
    {{- end }}
  {{- end }}
  egress:
    # Names.
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    {{- range .calls }}
    - ports: [{port: 8081, protocol: TCP}]
      to:
        - podSelector:
            matchLabels: {{- include "exchangeai.selector" (dict "root" $root "name" .) | nindent 14 }}
    {{- end }}
    {{- if .launches }}
    {{- include "exchangeai.launcherEgress" $root | nindent 4 }}
    {{- end }}
    {{- if .backends }}
    {{- range list $root.Values.nats $root.Values.s3 }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      {{- if .cidr }}
      to: [{ipBlock: {cidr: {{ .cidr }}}}]
      {{- else if .namespace }}
      to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}}}]
      {{- end }}
    {{- end }}
    {{- end }}
{{- end }}

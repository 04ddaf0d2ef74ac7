{{/* Where the processes of training runs live: settings, identity and network of the trainer's launcher. */}}

{{- define "exchangeai.launcherEnv" -}}
{{- $root := .root -}}
{{- $trainer := $root.Values.trainer -}}
- {name: EXCHANGEAI_LAUNCHER, value: {{ $trainer.launcher }}}
{{- if eq $trainer.launcher "kubernetes" }}
{{- $jobs := $trainer.jobs }}
- {name: EXCHANGEAI_KUBERNETES_INSTANCE, value: {{ $root.Release.Name | quote }}}
- {name: EXCHANGEAI_KUBERNETES_MOST_NODES, value: {{ $jobs.mostNodes | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_IMAGE, value: {{ include "exchangeai.image" (dict "root" $root "name" "trainer") }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_PULL_POLICY, value: {{ $root.Values.image.pullPolicy }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_PULL_SECRETS, value: {{ join "," $root.Values.image.pullSecrets | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_STORE_SECRET, value: {{ $root.Values.s3.secret }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_STORE_CA_SECRET, value: {{ $root.Values.s3.caSecret | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_CPU, value: {{ $jobs.cpu | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_MEMORY, value: {{ $jobs.memory | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_TMP_SIZE, value: {{ $jobs.tmpSize | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_SHM_SIZE, value: {{ $jobs.shmSize | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_GPUS, value: {{ $jobs.gpus | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_GPU_RESOURCE, value: {{ $trainer.gpuResource }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_PROCESSES, value: {{ $jobs.processes | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_NODE_SELECTOR, value: {{ toJson $jobs.nodeSelector | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_TOLERATIONS, value: {{ toJson $jobs.tolerations | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_PRIORITY_CLASS, value: {{ $jobs.priorityClass | quote }}}
- {name: EXCHANGEAI_KUBERNETES_PODS_RETRIES, value: {{ $jobs.retries | quote }}}
{{- else if eq $trainer.launcher "slurm" }}
{{- $slurm := $trainer.slurm }}
- {name: EXCHANGEAI_SLURM_OPTIONS, value: {{ $slurm.options | quote }}}
- {name: EXCHANGEAI_SLURM_GPUS, value: {{ $slurm.gpus | quote }}}
- {name: EXCHANGEAI_SLURM_PROCESSES, value: {{ $slurm.processes | quote }}}
- {name: EXCHANGEAI_SLURM_CPUS, value: {{ $slurm.cpus | quote }}}
- {name: EXCHANGEAI_SLURM_MOST_NODES, value: {{ $slurm.mostNodes | quote }}}
- {name: EXCHANGEAI_SLURM_PYTHON, value: {{ $slurm.python | quote }}}
{{- end }}
{{- end }}

{{- define "exchangeai.launcherMounts" -}}
{{- $trainer := .Values.trainer -}}
{{- if eq $trainer.launcher "kubernetes" }}
- {name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- else if eq $trainer.launcher "slurm" }}
- {name: shared, mountPath: {{ $trainer.slurm.workPath | quote }}}
- {name: slurm, mountPath: /etc/slurm, readOnly: true}
{{- end }}
{{- end }}

{{- define "exchangeai.launcherVolumes" -}}
{{- $trainer := .Values.trainer -}}
{{- if eq $trainer.launcher "kubernetes" }}
# What automounting would give, for this container alone and with a token of an hour.
- name: account
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- else if eq $trainer.launcher "slurm" }}
- name: shared
  persistentVolumeClaim: {claimName: {{ required "trainer.slurm.workClaim is needed by launcher slurm: a claim on the disk that its nodes share" $trainer.slurm.workClaim }}}
- name: slurm
  secret: {secretName: {{ required "trainer.slurm.configSecret is needed by launcher slurm: slurm.conf and its key" $trainer.slurm.configSecret }}, defaultMode: 288}
{{- end }}
{{- end }}

{{- define "exchangeai.launcherEgress" -}}
{{- $trainer := .Values.trainer -}}
{{- if eq $trainer.launcher "kubernetes" }}
# The API server: its service has 443, and behind it most have 6443.
- ports: [{port: 443, protocol: TCP}, {port: 6443, protocol: TCP}]
  {{- with $trainer.jobs.apiCidr }}
  to: [{ipBlock: {cidr: {{ . }}}}]
  {{- end }}
{{- else if eq $trainer.launcher "slurm" }}
- ports: [{port: {{ $trainer.slurm.port }}, protocol: TCP}]
  {{- with $trainer.slurm.cidr }}
  to: [{ipBlock: {cidr: {{ . }}}}]
  {{- end }}
{{- end }}
{{- end }}

{{- define "exchangeai.launcherObjects" -}}
{{- $context := dict "root" . "name" "trainer" -}}
{{- $full := printf "%s-trainer" .Release.Name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
automountServiceAccountToken: false
---
# What the launcher asks of the API server, and nothing more.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
rules:
  - {apiGroups: [batch], resources: [jobs], verbs: [create, get, delete]}
  - {apiGroups: [""], resources: [services], verbs: [create]}
  - {apiGroups: [""], resources: [pods], verbs: [get, list]}
  - {apiGroups: [""], resources: [pods/log], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $full }}
  labels: {{- include "exchangeai.labels" $context | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $full }}}
subjects:
  - {kind: ServiceAccount, name: {{ $full }}, namespace: {{ .Release.Namespace }}}
{{- if .Values.networkPolicy.enabled }}
---
# The pods of the Jobs: names, the store, and each other on whatever ports their libraries choose.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .Release.Name }}-training
  labels: {{- include "exchangeai.labels" (dict "root" . "name" "training") | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "exchangeai.selector" (dict "root" . "name" "training") | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {{- include "exchangeai.selector" (dict "root" . "name" "training") | nindent 14 }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
    - to:
        - podSelector:
            matchLabels: {{- include "exchangeai.selector" (dict "root" . "name" "training") | nindent 14 }}
    - ports: [{port: {{ .Values.s3.port }}, protocol: TCP}]
      {{- if .Values.s3.cidr }}
      to: [{ipBlock: {cidr: {{ .Values.s3.cidr }}}}]
      {{- else if .Values.s3.namespace }}
      to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.s3.namespace }}}}}]
      {{- end }}
{{- end }}
{{- end }}

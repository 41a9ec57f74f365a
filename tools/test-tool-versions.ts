/** A client or suite that is built from a published Go module. */
export interface GoTool {
  readonly name: string;
  /** The package that `go install` builds. */
  readonly goPackage: string;
  readonly version: string;
  /** `go install` refuses modules with exclude directives: these are built from a module that requires them. */
  readonly needsOuterModule?: boolean;
}

/** The one table of pinned versions of what the interop and conformance suites run. */
export const goTools = {
  conformance: {
    name: 'conformance',
    goPackage: 'github.com/opencontainers/distribution-spec/conformance',
    version: 'v0.0.0-20260831232431-97274622c111',
  },
  crane: {
    name: 'crane',
    goPackage: 'github.com/google/go-containerregistry/cmd/crane',
    version: 'v0.22.1',
  },
  regctl: {
    name: 'regctl',
    goPackage: 'github.com/regclient/regclient/cmd/regctl',
    version: 'v0.11.7',
  },
  oras: { name: 'oras', goPackage: 'oras.land/oras/cmd/oras', version: 'v1.3.6' },
  ko: { name: 'ko', goPackage: 'github.com/google/ko', version: 'v0.19.1' },
  buildctl: {
    name: 'buildctl',
    goPackage: 'github.com/moby/buildkit/cmd/buildctl',
    version: 'v0.34.2',
    needsOuterModule: true,
  },
  buildkitd: {
    name: 'buildkitd',
    goPackage: 'github.com/moby/buildkit/cmd/buildkitd',
    version: 'v0.34.2',
    needsOuterModule: true,
  },
  helm: { name: 'helm', goPackage: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' },
} as const satisfies Record<string, GoTool>;

export type GoToolName = keyof typeof goTools;

/** A program of Debian's, in the version that the release of the machine holds. */
export interface DebianTool {
  readonly debianPackage: string;
  /** The program whose presence shows that the package is there. */
  readonly program: string;
}

/** Debian pins these itself: a release gets security fixes only. */
export const debianTools: readonly DebianTool[] = [
  { debianPackage: 'skopeo', program: 'skopeo' },
  { debianPackage: 'buildah', program: 'buildah' },
  { debianPackage: 'podman', program: 'podman' },
  { debianPackage: 'umoci', program: 'umoci' },
  { debianPackage: 'containerd', program: 'containerd' },
  { debianPackage: 'docker.io', program: 'dockerd' },
  { debianPackage: 'mmdebstrap', program: 'mmdebstrap' },
  { debianPackage: 'busybox-static', program: 'busybox' },
  { debianPackage: 'docker-registry', program: 'docker-registry' },
  { debianPackage: 'wrk', program: 'wrk' },
  { debianPackage: 'qemu-user', program: 'qemu-aarch64' },
  { debianPackage: 'curl', program: 'curl' },
  { debianPackage: 'openssl', program: 'openssl' },
  { debianPackage: 'slapd', program: 'slapd' },
  { debianPackage: 'e2fsprogs', program: 'mkfs.ext4' },
  { debianPackage: 'xfsprogs', program: 'mkfs.xfs' },
  { debianPackage: 'btrfs-progs', program: 'mkfs.btrfs' },
  { debianPackage: 'chromium', program: 'chromium' },
];

// Bounds of measuring, each with the reason for its size. A server that exceeds one is not measured in part: it is not measured, and stays shut.

/** The packages of a large server are some ten thousand files; a home folder taken for a package by mistake is far more. */
export const TREE_FILES_MAX = 60_000;
/** A second and a half of hashing. */
export const TREE_BYTES_MAX = 1024 * 1024 * 1024;
/** Trees above this are measured where they lie and not copied. */
export const STORE_BYTES_MAX = 512 * 1024 * 1024;
/** Packages that one package may need, all told. */
export const PACKAGES_MAX = 4_000;
/** The kernel stamps changes with a clock that ticks every few milliseconds: two changes in one tick look like one. Far above any tick. */
export const UNSTABLE_MS = 2_000;
/** What is written through a mapping is stamped when its page is next cleaned: by default within 35 s. For what is believed across runs. */
export const SETTLED_MS = 60_000;
/** A file that changes while it is read is read again, so often. */
export const ATTEMPTS_MAX = 3;
export const ATTEMPT_DELAY_MS = 50;
/** Digests of files that one thread remembers. */
export const REMEMBERED_FILES_MAX = 200_000;
export const SHEBANG_BYTES_MAX = 512;
export const PACKAGE_JSON_BYTES_MAX = 4 * 1024 * 1024;

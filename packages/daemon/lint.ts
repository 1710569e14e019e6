/** The lint alone: it needs no controller and loads nothing of one. */
export { lintFile, mostConfigBytes, newestVersion, versionFrom, type PlacedFinding } from '@linstock/host/lint';

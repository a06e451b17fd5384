import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take longest, measured on two cores. Those that wait and those that compute alternate. */
const LONG = [
  'browser/web-client',
  'e2e/outage',
  'e2e/realtime',
  'e2e/local-stack',
  'browser/everyday',
  'client/rooms-v1',
  'browser/together',
  'client/outage',
  'e2e/demo',
  'browser/accessibility',
  'client/rooms-v2',
  'functions/realtime-v2',
  'functions/races',
  'functions/realtime-lanes',
  'functions/realtime-disconnect',
  'functions/dead-letters',
];

/**
 * Sorts files that run in parallel: the long ones first, so that none of them runs alone at the end. The others follow
 * in their order, with those of different projects mixed evenly.
 *
 * @param files in the order of each project
 */
export function longFirst<File extends { readonly path: string; readonly project: string }>(
  files: readonly File[],
): File[] {
  const countOf = (project: string): number => files.filter((file) => file.project === project).length;
  const seen = new Map<string, number>();
  return files
    .map((file) => {
      const long = LONG.findIndex((name) => file.path.endsWith(`test/${name}.test.ts`));
      const position = seen.get(file.project) ?? 0;
      seen.set(file.project, position + 1);
      return { file, rank: long >= 0 ? long - LONG.length : position / countOf(file.project) };
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ file }) => file);
}

/** Sorts as {@link longFirst}. Files that share modules stay together, and come last in their group. */
export class LongFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const files = (await super.sort(specifications)).map((specification) => ({
      specification,
      path: specification.moduleId,
      project: specification.project.name,
      isolated: specification.project.config.isolate,
      group: specification.project.config.sequence.groupOrder,
    }));
    const groups = [...new Set(files.map(({ group }) => group))].map((group) =>
      files.filter((file) => file.group === group),
    );
    return groups
      .flatMap((group) => [
        ...longFirst(group.filter(({ isolated }) => isolated)),
        ...group.filter(({ isolated }) => !isolated),
      ])
      .map(({ specification }) => specification);
  }
}

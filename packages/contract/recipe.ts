import { z } from 'zod';
import { goldenManifestSchema, promisedPortSchema } from './golden.ts';

/**
 * A recipe: what a root file system is made of, as data. The file is JSON; paths in it are relative to the folder it stands in.
 * What is not allowed is refused by name, before anything is built.
 */

/** A path in the image, without slashes at its ends and without `..`. */
const imagePath = z
  .string()
  .max(1_000)
  .transform((text) => text.replaceAll(/^\/+|\/+$/g, ''))
  .refine(
    (text) => text !== '' && !text.split('/').some((part) => part === '' || part === '.' || part === '..') && !text.includes('\0'),
    'must be a path in the image, without . and ..',
  );
/** A path beside the recipe, which it must not leave. */
const besidePath = z
  .string()
  .min(1)
  .max(500)
  .refine(
    (text) => !text.startsWith('/') && !text.split('/').includes('..') && !text.includes('\0'),
    'must be a path below the folder of the recipe',
  );
const mode = z
  .string()
  .regex(/^[0-7]{3,4}$/, 'must be octal digits such as 755 or 4755')
  .transform((text) => Number.parseInt(text, 8));
const id = z.int().min(0).max(0xffff_fffe);
const unit = z
  .string()
  .regex(
    /^[\w@.:\\-]{1,200}\.(service|socket|target|timer|path|mount|automount|swap|slice)$/,
    'must be the whole name of a unit, such as ssh.service',
  );
const word = z
  .string()
  .max(4_096)
  .refine((text) => !text.includes('\0'), 'must not hold a zero byte');

export const recipeFileSchema = z
  .strictObject({
    path: imagePath,
    text: z.string().max(1_048_576).optional(),
    /** a file beside the recipe */
    from: besidePath.optional(),
    /** makes it a link to this */
    link: word.min(1).max(1_000).optional(),
    /** makes it an empty folder */
    folder: z.literal(true).optional(),
    mode: mode.optional(),
    uid: id.default(0),
    gid: id.default(0),
  })
  .refine(
    (file) => [file.text, file.from, file.link, file.folder].filter((one) => one !== undefined).length === 1,
    'must have one of text, from, link and folder',
  );
export type RecipeFile = z.infer<typeof recipeFileSchema>;

export const recipeUserSchema = z.strictObject({
  /** a name that is there already is changed */
  name: z.string().regex(/^[a-z_][a-z0-9_-]{0,30}$/, 'must be a user name of small letters, digits, _ and -'),
  uid: id.optional(),
  home: z
    .string()
    .regex(/^\/[^:\n\0]{0,200}$/, 'must be an absolute path')
    .optional(),
  shell: z
    .string()
    .regex(/^\/[^:\n\0]{0,200}$/, 'must be an absolute path')
    .optional(),
  groups: z
    .array(z.string().regex(/^[a-z_][a-z0-9_-]{0,30}$/))
    .max(32)
    .default([]),
  /** `locked`: no password opens it; `empty`: none is asked for; else one that is hashed already, as in shadow(5) */
  password: z
    .string()
    .regex(/^(locked|empty|\$[\w./$=,-]{10,300})$/, 'must be locked, empty, or a hash as in shadow(5)')
    .default('locked'),
});
export type RecipeUser = z.infer<typeof recipeUserSchema>;

export const recipeSchema = z.strictObject({
  name: goldenManifestSchema.shape.name,
  about: z.string().max(500).optional(),
  /** `scratch`, `debian:SUITE`, an image (`oci:FOLDER`, `docker-archive:FILE`, `docker://REFERENCE`), or another recipe by name or file */
  from: z.string().min(1).max(500),
  /** of Debian */
  packages: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9+.-]{1,100}$/, 'must be the name of a Debian package'))
    .max(1_000)
    .default([]),
  /** a folder beside the recipe whose content is laid over the tree; all of it belongs to root, what may be executed keeps that */
  overlay: besidePath.optional(),
  files: z.array(recipeFileSchema).max(1_000).default([]),
  users: z.array(recipeUserSchema).max(100).default([]),
  hostname: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a host name')
    .optional(),
  units: z
    .strictObject({
      enable: z.array(unit).max(200).default([]),
      disable: z.array(unit).max(200).default([]),
      mask: z.array(unit).max(200).default([]),
    })
    .prefault({}),
  /** run in the tree, one after the other, as argument vectors, without a network */
  commands: z.array(z.array(word).min(1).max(200)).max(100).default([]),
  /** patterns of what is left out at the end: `*`, `?`, and `**` for any folders */
  remove: z.array(z.string().min(1).max(300)).max(1_000).default([]),
  /** room for the guest, or the size of all of it */
  freeMiB: z.int().min(1).max(1_048_576).optional(),
  sizeMiB: z.int().min(8).max(1_048_576).optional(),
  /** what becomes PID 1: a program of the image, or `linstock`: a small init of ours that starts what a container image would start */
  init: z
    .union([z.literal('linstock'), z.string().regex(/^\/[\x21\x23-\x7e]{1,200}$/, 'must be `linstock` or an absolute path')])
    .optional(),
  /** whether our agent is put in and started */
  agent: z.boolean().optional(),
  ports: z.array(promisedPortSchema).max(16).default([]),
  bootArgs: z
    .strictObject({
      add: z.array(z.string()).max(100).default([]),
      replace: z.array(z.string()).max(100).default([]),
      remove: z.array(z.string()).max(100).default([]),
    })
    .prefault({}),
  machine: z.strictObject({ vcpus: z.int().min(1).max(32).optional(), memoryMiB: z.int().min(32).max(1_048_576).optional() }).prefault({}),
});
export type Recipe = z.infer<typeof recipeSchema>;

export type RecipeSource =
  | { is: 'scratch' }
  | { is: 'debian'; suite: string }
  /** an OCI layout: a folder, or a tar archive of one; or what `docker save` and `podman save` write */
  | { is: 'image'; path: string }
  | { is: 'registry'; reference: string }
  | { is: 'recipe'; named: string };

/** What `from` means; null when it means nothing. */
export function recipeSource(from: string): RecipeSource | null {
  if (from === 'scratch') return { is: 'scratch' };
  if (from.includes('\0')) return null;
  const [, scheme, rest = ''] = /^(debian|oci|oci-archive|docker-archive|docker):(.*)$/.exec(from) ?? [];
  switch (scheme) {
    case 'debian':
      return /^[a-z][a-z-]{1,30}$/.test(rest) ? { is: 'debian', suite: rest } : null;
    case 'oci':
    case 'oci-archive':
    case 'docker-archive':
      return rest === '' ? null : { is: 'image', path: rest };
    case 'docker':
      // as skopeo and podman write it; the grammar is that of the distribution project (reference/reference.go)
      return /^\/\/[a-zA-Z0-9][\w.-]*(:\d{1,5})?(\/[\w.-]+)*(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?$/.test(rest)
        ? { is: 'registry', reference: `docker:${rest}` }
        : null;
    default:
      return /^[a-z][a-z0-9-]{0,62}$/.test(from) || from.endsWith('.json') ? { is: 'recipe', named: from } : null;
  }
}

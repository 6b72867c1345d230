/**
 * What kvchain uses of TypeBox when it runs, in one module. TypeBox is some 700 files: opening them took longer than all else that kvchain-cli does, so the
 * build puts them into this one (.config/bundle.mjs). Types come from TypeBox itself, which costs nothing.
 */
export { Type } from 'typebox'
export { Compile } from 'typebox/compile'
export { Settings } from 'typebox/system'

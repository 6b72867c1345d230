/**
 * `Promise.withResolvers` for Node 20, which the network libraries call and Node has only from 22 on. The first import of every
 * entry point, and of the modules that load those libraries. Does nothing where the function exists.
 */

interface Resolvers<T> {
  promise: Promise<T>
  resolve: (value: T | PromiseLike<T>) => void
  reject: (reason?: unknown) => void
}

if (!('withResolvers' in Promise)) {
  Object.defineProperty(Promise, 'withResolvers', {
    configurable: true,
    writable: true,
    value: function withResolvers<T>(this: PromiseConstructor): Resolvers<T> {
      const parts: Partial<Resolvers<T>> = {}
      const promise = new this<T>((resolve, reject) => {
        parts.resolve = resolve
        parts.reject = reject
      })
      return Object.assign(parts, { promise }) as Resolvers<T>
    },
  })
}

export {}

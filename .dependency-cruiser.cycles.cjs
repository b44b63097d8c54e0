/**
 * No cycles between files when they run; among types they do no harm. Looked at without the types, for of the several
 * cycles through one import the tool names one, which a cycle of types could hide. `npm run lint:imports`
 */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Which of the two files is loaded first decides what the other one sees.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    tsPreCompilationDeps: false,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    includeOnly: '^libs/lock/src',
  },
};

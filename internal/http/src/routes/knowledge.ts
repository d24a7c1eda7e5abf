import { Type } from '@fastify/type-provider-typebox';
import { Strict } from '../request-schema.ts';
import type { Routes } from '../route-context.ts';
import { callerOf } from '../route-context.ts';
import { toChunkView, toDocumentView, toItems } from '../to-view.ts';
import { ChunkView, DocumentView, itemsOf, refTo } from '../view-schema.ts';

const QUERY_CHARS = 4_096;
const TOP_K = 5;
const TOP_K_CEILING = 50;

const SearchBody = Strict(
  {
    query: Type.String({ minLength: 1, maxLength: QUERY_CHARS, description: 'What to look for.' }),
    top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: TOP_K_CEILING, description: `Most chunks; default ${TOP_K}.` })),
  },
  { examples: [{ query: 'anomalous login from a new country', top_k: 3 }] },
);

const ChunkParams = Strict({ chunk_id: Type.String({ minLength: 1, maxLength: 255 }) });

export const knowledgeRoutes: Routes = ({ port }) => (app, _options, done) => {
  app.post('/knowledge/search', {
    config: { scope: 'knowledge:read' },
    schema: {
      operationId: 'searchKnowledge',
      tags: ['knowledge'],
      summary: 'Search the knowledge that you may read',
      body: SearchBody,
      response: { 200: Type.Object({ chunks: Type.Array(refTo(ChunkView)) }) },
    },
    handler: async (request, reply) => {
      const chunks = await port.searchKnowledge(callerOf(request), request.body.query, request.body.top_k ?? TOP_K);
      return reply.code(200).send({ chunks: chunks.map(toChunkView) });
    },
  });

  app.get('/knowledge/documents', {
    config: { scope: 'knowledge:read' },
    schema: { operationId: 'listDocuments', tags: ['knowledge'], summary: 'List the documents that you may read', querystring: Strict({}), response: { 200: itemsOf(DocumentView) } },
    handler: async (request, reply) => reply.code(200).send(toItems(await port.listDocuments(callerOf(request)), toDocumentView)),
  });

  app.get('/knowledge/chunks/:chunk_id', {
    config: { scope: 'knowledge:read', errors: ['not_found'] },
    schema: { operationId: 'getChunk', tags: ['knowledge'], summary: 'Get a chunk', params: ChunkParams, response: { 200: refTo(ChunkView) } },
    handler: async (request, reply) => reply.code(200).send(toChunkView(await port.getChunk(callerOf(request), request.params.chunk_id))),
  });

  done();
};

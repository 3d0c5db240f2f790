"A small application behind the guard, on a real socket: `python guarded_server.py KEYS`; prints its port. Its answers can be held, broken off and made to fail."
import asyncio, json, socket, sys
import uvicorn
from cortex.access import KeyRing, Metrics, RateLimit, Slots, add_handlers, guard, server_options

def make(keys, **settings):
    "Build the application: every address of it does one thing that a service may do."
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import StreamingResponse
    app, metrics, gate = FastAPI(docs_url=None, redoc_url=None), Metrics(), asyncio.Event()
    add_handlers(app)
    @app.get('/health')
    async def health(): return {'ok': True}
    @app.get('/metrics')
    async def read_metrics():
        body, kind = metrics.render()
        return Response(body, media_type=kind)
    @app.post('/v1/echo')
    async def echo(request:Request):
        request.state.visit.completion_tokens = 3
        return {'got': request.state.json, 'key': request.state.visit.key}
    @app.post('/v1/fail')
    async def fail(request:Request): raise RuntimeError(f'the inside says {await request.body()!r}')
    @app.post('/v1/open')
    async def open_gate(): gate.set(); return {}
    @app.post('/v1/chat/completions')
    async def chat(request:Request):
        how = request.state.json.get('how')
        async def words():
            yield b'data: first\n\n'
            if how == 'break': raise RuntimeError('broken off ' + str(request.state.json))
            if how == 'wait': await gate.wait(); gate.clear()
            if how == 'hang': await asyncio.sleep(1e3)
            yield b'data: second\n\n'
        return StreamingResponse(words(), media_type='text/event-stream')
    return guard(app, keys=KeyRing(keys), metrics=metrics, routes={r.path for r in app.routes}, **settings)

def main(keys):
    "Serve on a free port until ended."
    app = make(keys, rate=RateLimit(60_000), slots=Slots(1, 1, patience=60), max_body=100_000, body_timeout=2)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)
        asyncio.run(uvicorn.Server(uvicorn.Config(app, lifespan='off', **server_options(header_timeout=2, level='DEBUG'))).serve([s]))

if __name__ == '__main__': main(sys.argv[1])

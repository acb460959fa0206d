using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// A named thread that handles packets batch after batch. Between two batches it runs what others have posted: by then no packet is in its
/// hands. A batch that throws is told and the thread goes on; one that does nothing else is stopped.
/// </summary>
public sealed class WorkerThread : IDisposable
{
    private const int MaxFailures = 100;
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly WakeEvent _wake = new();
    private readonly Action<WakeEvent> _step;
    private readonly Action _ended;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private volatile bool _stopping;
    private volatile bool _isSet;   // becomes true behind the event's setting, so that no setting outlives the actions that it was for

    /// <param name="name">The thread's name, at most 15 characters of which the kernel shows.</param>
    /// <param name="step">Waits for packets or the event, and handles a batch.</param>
    /// <param name="ended">Runs last on the thread: frees what the worker holds.</param>
    /// <param name="logger">Where failures are told.</param>
    public WorkerThread(string name, Action<WakeEvent> step, Action ended, ILogger logger)
    {
        (_step, _ended, _logger) = (step, ended, logger);
        _thread = new Thread(Run) { Name = name, IsBackground = true };
    }

    public WakeEvent Wake => _wake;

    /// <summary>The thread gave up after too many failures: packets are no longer handled.</summary>
    public bool HasFailed { get; private set; }

    public void Start() => _thread.Start();

    /// <summary>Runs an action on the thread between two batches; at once where the thread has ended.</summary>
    public void Post(Action action)
    {
        _posted.Enqueue(action);
        _wake.Set();
        _isSet = true;
        if (!_thread.IsAlive && (_thread.ThreadState & ThreadState.Unstarted) == 0)
        {
            RunPosted();
        }
    }

    /// <summary>Ends the thread and waits for it.</summary>
    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        if (_thread != Thread.CurrentThread && (_thread.ThreadState & ThreadState.Unstarted) == 0)
        {
            _thread.Join();
        }
        _wake.Dispose();
    }

    private void Run()
    {
        int failures = 0;
        while (!_stopping && failures < MaxFailures)
        {
            try
            {
                RunPosted();
                _step(_wake);
                failures = 0;
            }
            catch (Exception e)
            {
                failures++;
                _logger.WorkerFailed(e, _thread.Name ?? "", failures);
            }
        }
        if (!_stopping)
        {
            HasFailed = true;
            _logger.WorkerStopped(_thread.Name ?? "");
        }
        RunPosted();
        _ended();
        RunPosted();
    }

    private void RunPosted()
    {
        if (!_isSet && _posted.IsEmpty)
        {
            return;
        }
        _isSet = false;
        _wake.Reset();
        while (_posted.TryDequeue(out Action? action))
        {
            action();
        }
    }
}

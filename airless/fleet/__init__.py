"""Crawls that others work on: begun, followed and assembled from here, over an engine that all can reach."""
